//go:build linux

package proxy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestManagedPHPCGI runs a site's scripts by a php-cgi that the daemon starts
// and ends.
func TestManagedPHPCGI(t *testing.T) {
	dir := t.TempDir()
	script := `<?php
header('X-Via: ' . PHP_SAPI);
setcookie('c', 'v');
if (isset($_FILES['f'])) {
	echo move_uploaded_file($_FILES['f']['tmp_name'], $_SERVER['DOCUMENT_ROOT'] . '/moved.txt') ? 'moved' : 'not moved';
} else {
	echo ini_get('precision'), ' ', getenv('APP_ENV'), ' ', $_SERVER['REQUEST_METHOD'];
}`
	if err := os.WriteFile(filepath.Join(dir, "index.php"), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  site: {fastcgi: {root: `+dir+`, spawn: {workers: 2, max_requests: 5, ini: {precision: 7}, env: {APP_ENV: test}}}}
routes:
  - backend: site
`))
	const h = " HTTP/1.1\r\nHost: example.org\r\n"
	for range 10 { // more than one process responds
		for _, way := range ways {
			response := string(way.send(t, p, "GET /"+h+"\r\n"))
			if !strings.HasPrefix(response, "HTTP/1.1 200 ") || !strings.Contains(response, "7 test GET") ||
				!strings.Contains(response, "X-Via: cgi-fcgi\r\n") || !strings.Contains(response, "Set-Cookie: c=v\r\n") {
				t.Errorf("%s: %q", way.name, response)
			}
		}
	}
	upload := "POST /" + h + "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 96\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a b.txt\"\r\n\r\nthe upload content\r\n--b--\r\n"
	if response := string(ways[0].send(t, p, upload)); !strings.Contains(response, "moved") || strings.Contains(response, "not moved") {
		t.Errorf("%q", response)
	}
	if moved, err := os.ReadFile(filepath.Join(dir, "moved.txt")); err != nil || string(moved) != "the upload content" {
		t.Errorf("%q, %v", moved, err)
	}
}
