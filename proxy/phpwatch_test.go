package proxy

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// watchedSite runs a script whose code is in another file, which is watched.
func watchedSite(t *testing.T) (base, code string, write func(text string)) {
	t.Helper()
	dir := t.TempDir()
	code = filepath.Join(dir, "src", "page.php")
	write = func(text string) {
		t.Helper()
		if err := os.WriteFile(code, []byte("<?php\n"+text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Dir(code), 0o755); err != nil {
		t.Fatal(err)
	}
	write(`return fn ($r) => $r->path === '/json' ? arca\Response::json(1) : '<p>one</p>';`)
	script := filepath.Join(dir, "app.php")
	if err := os.WriteFile(script, []byte("<?php $ARCANGELO_USERSPACE = ['on_http' => require 'src/page.php'];"), 0o644); err != nil {
		t.Fatal(err)
	}
	p, _ := start(t, load(t, `
listeners: {web: {http: {address: "127.0.0.1:0"}}}
backends: {site: {php: {script: `+script+`, workers: {min: 1, max: 2}, dev: true, watch: [`+filepath.Dir(code)+`], live_reload: true}}}
routes: [{backend: site}]
`))
	return "http://" + p.Addr("web").String(), code, write
}

func getPage(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.ContentLength >= 0 && resp.ContentLength != int64(len(text)) {
		t.Fatalf("%s: %d bytes of %d, %v", url, len(text), resp.ContentLength, err)
	}
	return resp.StatusCode, string(text)
}

// awaitPage waits until a page has a text.
func awaitPage(t *testing.T, url, want string) (status int, body string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if status, body = getPage(t, url); strings.Contains(body, want) {
			return status, body
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %q never has %q", url, body, want)
		}
	}
}

// TestWatch: workers are replaced when a file changes, pages know of it, and a script
// that doesn't load is shown.
func TestWatch(t *testing.T) {
	base, _, write := watchedSite(t)
	_, body := getPage(t, base+"/")
	page, script, found := strings.Cut(body, "<script>")
	if page != "<p>one</p>" || !found {
		t.Fatalf("%q", body)
	}
	if _, body := getPage(t, base+"/json"); body != "1" {
		t.Errorf("JSON: %q", body)
	}
	_, query, _ := strings.Cut(script, "?")
	query, _, _ = strings.Cut(query, `"`)
	_, known, _ := strings.Cut(query, "=")
	if _, same := getPage(t, base+"/?"+query); same != known {
		t.Errorf("without a change the version is %q, was %q", same, known)
	}
	began := time.Now()
	write(`return fn ($r) => '<p>two</p>';`)
	for deadline := time.Now().Add(20 * time.Second); ; {
		if _, version := getPage(t, base+"/?"+query); version != known {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("pages aren't told of the change")
		}
	}
	t.Logf("the change was live after %v", time.Since(began))
	if _, body := getPage(t, base+"/"); !strings.HasPrefix(body, "<p>two</p>") {
		t.Errorf("after the change: %q", body)
	}
	write(`return fn ($r) =>`)
	if status, _ := awaitPage(t, base+"/", "syntax error"); status != 500 {
		t.Errorf("a script that doesn't load: %d", status)
	}
	write(`return fn ($r) => '<p>three</p>';`)
	if status, _ := awaitPage(t, base+"/", "<p>three</p>"); status != 200 {
		t.Errorf("a script that is repaired: %d", status)
	}
}
