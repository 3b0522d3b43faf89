//go:build linux

package proxy

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDownloadsWithALineEnd downloads what the classic script sends: a file by
// readfile, and then the line ends after ?>. The client gets the whole file, and
// the log one warning.
func TestDownloadsWithALineEnd(t *testing.T) {
	const script = `<?php
$f = __DIR__ . '/../' . basename($_GET['f']);
header('Content-Type: application/octet-stream');
header('Content-Disposition: attachment; filename="f"');
header('Content-Length: ' . filesize($f));
readfile($f);
?>

`
	f := startFPM(t, 2, map[string]string{"index.php": script})
	sizes := []int{0, 1, 5000, 800_000, 4 << 20}
	content := make(map[string][]byte)
	random := rand.NewChaCha8([32]byte{1})
	for _, size := range sizes {
		data := make([]byte, size)
		random.Read(data)
		name := fmt.Sprint(size)
		content[name] = data
		if err := os.WriteFile(filepath.Join(f.dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// The same from an HTTP server that doesn't count either.
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data := content[r.URL.Query().Get("f")]
		conn, _, _ := http.NewResponseController(w).Hijack()
		defer conn.Close()
		head := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", len(data))
		conn.Write(slices.Concat(head, data, []byte("\n\n"))) // at once: what comes late is seen before the next request
		io.Copy(io.Discard, conn)                             // until mkd closes it
	}))
	t.Cleanup(u.Close)
	for name, backend := range map[string]string{
		"fastcgi": `fastcgi: {addresses: ["unix:` + f.dir + `/s"], root: ` + f.public + `, keep_alive: 1}`,
		"http":    "http: {upstreams: [{url: " + u.URL + "}]}",
	} {
		t.Run(name, func(t *testing.T) {
			p, log := allListeners(t, `
backends:
  site: {`+backend+`}
routes:
  - backend: site
`)
			downloads := 0
			for name, want := range content {
				for way, c := range streamingClients(t, p) {
					resp, err := c.client.Get(c.base + "/index.php?f=" + name)
					if err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					downloads++
					if err != nil || resp.StatusCode != 200 || resp.ContentLength != int64(len(want)) || sha256.Sum256(got) != sha256.Sum256(want) {
						t.Errorf("%s, %s bytes: %s, %d came, %v", way, name, resp.Status, len(got), err)
					}
				}
				if len(want) > 1_000_000 { // more than a message holds
					continue
				}
				response, err := client(t, p, "app").Send(t.Context(), []byte("GET /index.php?f="+name+" HTTP/1.1\r\nHost: x\r\n\r\n"))
				if err != nil {
					t.Fatal(err)
				}
				downloads++
				if resp, body := parseResponse(t, response, "GET"); resp.StatusCode != 200 || !bytes.Equal([]byte(body), want) {
					t.Errorf("in a message, %s bytes: %s, %d came", name, resp.Status, len(body))
				}
			}
			const warning = "the response has more bytes than its Content-Length"
			await(t, "each download is warned of", func() bool {
				data, err := os.ReadFile(log)
				return err == nil && strings.Count(string(data), warning) == downloads
			})
		})
	}
}
