//go:build linux

package proxy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mkd/internal/testserver/phpfpm"
)

// fpm is a real PHP-FPM for a site.
type fpm struct {
	*phpfpm.Server
	dir    string // has the socket s and, in public, the site
	public string
}

// startFPM starts PHP-FPM with the files of a site, by their paths below public,
// and settings of its pool.
func startFPM(t testing.TB, workers int, files map[string]string, settings ...string) *fpm {
	t.Helper()
	s := phpfpm.Start(t, workers, settings...)
	for name, content := range files {
		s.Write(t, filepath.Join("public", name), content)
	}
	return &fpm{s, s.Dir, filepath.Join(s.Dir, "public")}
}

const echo = `<?php
header('X-Via: fpm');
setcookie('c', 'v');
echo json_encode(['get' => $_GET, 'post' => $_POST, 'cookie' => $_COOKIE,
	'files' => array_map(fn($f) => [$f['name'], $f['size'], md5_file($f['tmp_name'])], $_FILES),
	'addr' => $_SERVER['REMOTE_ADDR'], 'https' => $_SERVER['HTTPS'] ?? '', 'session' => strlen($_SERVER['MEGAKI_SESSION'] ?? ''),
	'script' => $_SERVER['SCRIPT_NAME'], 'info' => $_SERVER['PATH_INFO'] ?? '', 'uri' => $_SERVER['REQUEST_URI'],
	'root' => $_SERVER['DOCUMENT_ROOT'], 'length' => $_SERVER['CONTENT_LENGTH'] ?? '', 'body' => file_get_contents('php://input')], JSON_UNESCAPED_SLASHES);`

// TestFPMThroughBothListeners runs a site's scripts and serves its files.
func TestFPMThroughBothListeners(t *testing.T) {
	f := startFPM(t, 2, map[string]string{
		"index.php":      echo,
		"sub/index.php":  echo,
		"style.css":      "a{}",
		"upload/a.jpg":   "<?php echo 'never';",
		".env":           "secret",
		"config.inc":     "secret",
		"redirect.php":   `<?php header('Location: /elsewhere'); http_response_code(303);`,
		"fatal.php":      `<?php nonsense();`,
		"accel.php":      `<?php header('X-Accel-Redirect: /protected/' . rawurlencode($_GET['f'])); header('Content-Type: text/x-own');`,
		"sendfile.php":   `<?php header('X-Sendfile: ' . dirname(__DIR__) . '/files/' . $_GET['f']);`,
		"../files/a.txt": "the file",
		"../secret.txt":  "secret",
	})
	p, log := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  site:
    fastcgi:
      addresses: ["unix:`+f.dir+`/s"]
      root: `+f.public+`
      try: ["{path}", "{path}/", /index.php]
      env: {APP_ENV: test}
      send_file: {root: `+f.dir+`/files, prefix: /protected}
      health: {path: /ping, interval: 100ms}
  assets: {files: {root: `+f.public+`}}
routes:
  - {match: {paths: [/assets/*]}, strip_prefix: /assets, backend: assets}
  - backend: site
`))
	const h = " HTTP/1.1\r\nHost: example.org\r\n"
	for _, c := range []struct {
		request string
		status  int
		want    []string // in the response
		not     string
	}{
		{"GET /?a=b" + h + "Cookie: x=y\r\n\r\n", 200, []string{`"get":{"a":"b"}`, `"cookie":{"x":"y"}`, `"script":"/index.php"`, `"uri":"/?a=b"`, "X-Via: fpm\r\n", "Set-Cookie: c=v\r\n", `"addr":"127.0.0.1"`}, ""},
		{"POST /index.php/path/info" + h + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\nx=1&y=2", 200, []string{`"post":{"x":"1","y":"2"}`, `"info":"/path/info"`, `"length":"7"`, `"body":"x=1&y=2"`}, ""},
		{"POST /" + h + "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 200, []string{`"body":"abcde"`, `"length":"5"`}, ""},
		{"POST /" + h + "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 96\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a b.txt\"\r\n\r\nthe upload content\r\n--b--\r\n", 200, []string{`"files":{"f":["a b.txt",18,`}, ""},
		{"GET /front/controller?q" + h + "\r\n", 200, []string{`"script":"/index.php"`, `"uri":"/front/controller?q"`, `"info":""`}, ""},
		{"GET /sub" + h + "\r\n", 301, []string{"Location: /sub/\r\n"}, ""},
		{"GET /sub/" + h + "\r\n", 200, []string{`"script":"/sub/index.php"`}, ""},
		{"GET /style.css" + h + "\r\n", 200, []string{"Content-Type: text/css; charset=utf-8\r\n", "\r\n\r\na{}"}, ""},
		{"HEAD /style.css" + h + "\r\n", 200, []string{"Content-Length: 3\r\n"}, "a{}"},
		{"GET /style.css" + h + "Range: bytes=1-\r\n\r\n", 206, []string{"Content-Range: bytes 1-2/3\r\n", "\r\n\r\n{}"}, ""},
		{"GET /style.css" + h + "Range: bytes=9-\r\n\r\n", 416, []string{"Content-Range: bytes */3\r\n"}, ""},
		{"POST /style.css" + h + "Content-Length: 0\r\n\r\n", 405, []string{"Allow: GET, HEAD\r\n"}, ""},
		{"GET /assets/style.css" + h + "\r\n", 200, []string{"\r\n\r\na{}"}, ""},
		{"GET /assets/index.php" + h + "\r\n", 404, nil, "json_encode"},
		{"GET /upload/a.jpg/x.php" + h + "\r\n", 200, []string{`"script":"/index.php"`}, "never"},
		{"GET /.env" + h + "\r\n", 200, []string{`"script":"/index.php"`}, "secret"},
		{"GET /config.inc" + h + "\r\n", 200, []string{`"script":"/index.php"`}, "secret"},
		{"GET /redirect.php" + h + "\r\n", 303, []string{"Location: /elsewhere\r\n"}, ""},
		{"GET /fatal.php" + h + "\r\n", 500, nil, ""},
		{"GET /accel.php?f=a.txt" + h + "\r\n", 200, []string{"the file", "Content-Type: text/x-own;", "Content-Length: 8\r\n"}, "X-Accel"},
		{"GET /accel.php?f=../secret.txt" + h + "\r\n", 404, nil, "secret\n"},
		{"GET /sendfile.php?f=a.txt" + h + "\r\n", 200, []string{"the file"}, "X-Sendfile"},
		{"GET /sendfile.php?f=../secret.txt" + h + "\r\n", 502, nil, "secret\n"},
	} {
		for _, way := range ways {
			response := way.send(t, p, c.request)
			if response == nil {
				t.Errorf("%s %.60q: no answer", way.name, c.request)
				continue
			}
			method, _, _ := strings.Cut(c.request, " ")
			if resp, _ := parseResponse(t, response, method); resp.StatusCode != c.status {
				t.Errorf("%s %.60q: %d, want %d: %q", way.name, c.request, resp.StatusCode, c.status, response)
			}
			want := c.want
			if strings.Contains(string(response), `"https":`) {
				https, session := `"https":"on"`, `"session":32`
				if way.name == "web" {
					https, session = `"https":""`, `"session":0`
				}
				want = append(want, https, session, `"root":"`+f.public+`"`)
			}
			for _, text := range want {
				if !strings.Contains(string(response), text) {
					t.Errorf("%s %.60q: %q is missing in %q", way.name, c.request, text, response)
				}
			}
			if c.not != "" && strings.Contains(string(response), c.not) {
				t.Errorf("%s %.60q: %q is in %q", way.name, c.request, c.not, response)
			}
		}
	}
	awaitLog(t, log, "nonsense")
}

// await waits for a state.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came that %s", what)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func touch(t testing.TB, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
}
