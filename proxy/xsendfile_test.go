package proxy

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSymfonyXSendfile: a BinaryFileResponse that leaves its file to mkd failed, because it
// has the Content-Length of the file and no body. mkd sends the file, with ranges, if the
// route asks for that; a file outside of send_file isn't sent.
func TestSymfonyXSendfile(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"private/a.txt": "0123456789",
		"outside.txt":   "outside",
		"app.php": `<?php
			require 'Symfony/Component/HttpKernel/autoload.php';
			use Symfony\Component\HttpFoundation\{BinaryFileResponse, Request, Response};
			use Symfony\Component\HttpKernel\HttpKernelInterface;
			$ARCANGELO_USERSPACE = ['on_http' => arca\symfony(new class implements HttpKernelInterface {
				public function handle(Request $request, int $type = self::MAIN_REQUEST, bool $catch = true): Response {
					BinaryFileResponse::trustXSendfileTypeHeader();
					$file = $request->getPathInfo() === '/outside' ? 'outside.txt' : 'private/a.txt';
					$response = new BinaryFileResponse(__DIR__ . '/' . $file, 200, ['Content-Type' => 'text/x-a']);
					$response->prepare($request);
					$response->headers->set('X-Left', (string) $response->headers->has('X-Sendfile'));
					return $response;
				}
			})];`,
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, _ := start(t, load(t, strings.ReplaceAll(`
listeners: {web: {http: {address: "127.0.0.1:0"}}}
backends: {site: {php: {script: ROOT/app.php, workers: {min: 1, max: 1}, send_file: {root: ROOT/private}}}}
routes:
  - match: {paths: [/plain]}
    backend: site
  - headers: {request: {set: {X-Sendfile-Type: X-Sendfile}}}
    backend: site
`, "ROOT", dir)))
	for _, c := range []struct {
		path, ranged string
		status       int
		body, left   string
	}{
		{"/", "", 200, "0123456789", "1"},
		{"/", "bytes=2-4", 206, "234", "1"},
		{"/plain", "", 200, "0123456789", ""},
		{"/outside", "", 502, "", ""},
	} {
		r, err := http.NewRequest("GET", "http://"+p.Addr("web").String()+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.ranged != "" {
			r.Header.Set("Range", c.ranged)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || c.body != "" && string(body) != c.body || strings.Contains(string(body), "outside") {
			t.Errorf("%s %s: %d %q, %v; want %d %q", c.path, c.ranged, resp.StatusCode, body, err, c.status, c.body)
		}
		if c.body != "" && (resp.Header.Get("X-Left") != c.left || resp.Header.Get("X-Sendfile") != "" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/x-a")) {
			t.Errorf("%s: %v", c.path, resp.Header)
		}
	}
}
