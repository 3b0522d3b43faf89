package php

import (
	"fmt"
	"math/rand"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Pieces of names and values that parsers treat in some way of their own.
var oddPieces = strings.Split("a b c [ ] [] [x] [0] [ = = & & . + %20 %5B %5D %00 % %zz _ - ' \" ; , ä \x80 %ff %3D 0 -1 1e3 __Host- __Secure- \\ / [+x] [9223372036854775807]", " ")

// TestRandomAsFPM compares what a worker and PHP-FPM make of requests with random names
// and values. The requests are the same in each run.
func TestRandomAsFPM(t *testing.T) {
	p, _ := start(t, Options{Script: "testdata/http.php", MinWorkers: 1, MaxWorkers: 1, Ini: map[string]string{"request_order": "GPC"}})
	fpm := startFPM(t, "testdata/globals.php", "php_admin_value[request_order] = GPC")
	for seed := range int64(1000) {
		random := rand.New(rand.NewSource(seed))
		text := func(most int, pieces ...string) string {
			var b strings.Builder
			for range random.Intn(most + 1) {
				b.WriteString(pieces[random.Intn(len(pieces))])
			}
			return b.String()
		}
		among := func(separators ...string) []string {
			return append(slices.Repeat(separators, len(oddPieces)/4), oddPieces...)
		}
		query := text(16, among("&", "=")...)
		cookies := http.Header{"Cookie": {strings.TrimSpace(text(16, among("; ", "=")...))}}
		form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		var parts strings.Builder
		for range 1 + random.Intn(3) {
			// Brackets that don't match are among the differences in docs/php.md.
			name := text(4, "a", "b", ".", "'", ";", "=", `\\`, `\"`, "%22", "ä", "MAX_FILE_SIZE") + text(2, "[x]", "[]", "[0]")
			fmt.Fprintf(&parts, "--b\r\nContent-Disposition: form-data; name=\"%s\"%s\r\n\r\n%s\r\n", name,
				text(1, `; filename=c`, `; filename="d;e"`, `;filename=''`, `; x="; filename=f"; filename*=UTF-8''g`), text(3, "1", "\r\n", "--", "ä"))
		}
		multi := http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}
		compareGlobals(t, p, fpm, "GET", query, cookies, "")
		compareGlobals(t, p, fpm, "POST", "a=1&b[x]=2", form, text(16, append(among("&", "="), "\x00", "\r\n")...))
		compareGlobals(t, p, fpm, "POST", "", multi, parts.String()+"--b--\r\n")
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
