package proxy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// onHTTP writes a script, and returns its file.
func onHTTP(t *testing.T, code string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "http.php")
	if err := os.WriteFile(path, []byte("<?php\n"+code), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestOnHTTPThroughBothDoors has a script's on_http answer requests of both
// doors.
func TestOnHTTPThroughBothDoors(t *testing.T) {
	script := onHTTP(t, `
use arca\Request;
use arca\Response;
$ARCANGELO_USERSPACE = ['on_http' => function (Request $r) {
	switch ($r->path) {
		case '/text': return 'text';
		case '/empty': return new Response('', 204);
		case '/stream': return (function () { foreach (range(1, 3) as $i) yield "part $i\n"; })();
		case '/broken': return (function () { yield "part 1\n"; throw new Exception('in the middle'); })();
		case '/throw': throw new Exception('thrown on purpose');
		case '/exit': exit;
		case '/print': print('printed'); return;
	}
	return new Response(json_encode(['method' => $r->method, 'uri' => $_SERVER['REQUEST_URI'], 'script' => $_SERVER['SCRIPT_NAME'], 'get' => $_GET, 'post' => $_POST, 'cookie' => $_COOKIE,
		'files' => array_map(fn($f) => [$f['name'], file_get_contents($f['tmp_name'])], $_FILES),
		'body' => $r->body(), 'addr' => $_SERVER['REMOTE_ADDR'], 'https' => $_SERVER['HTTPS'] ?? '', 'session' => strlen($_SERVER['MEGAKI_SESSION'] ?? '')], JSON_UNESCAPED_SLASHES), 201, ['X-Via' => 'on_http']);
}];`)
	p, log := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  site: {php: {script: `+script+`, workers: {min: 2, max: 2}, display_errors: true}}
routes:
  - {match: {paths: [/shop/*]}, strip_prefix: /shop, backend: site}
  - {backend: site, max_body: 1MiB}
`))
	const h = " HTTP/1.1\r\nHost: example.org\r\n"
	for _, c := range []struct {
		request string
		status  int // by Megaki
		web     int // by HTTP; 0: the same; -1: no whole answer
		want    []string
	}{
		{"GET /?a=b" + h + "Cookie: x=y\r\n\r\n", 201, 0, []string{`"method":"GET"`, `"uri":"/?a=b"`, `"get":{"a":"b"}`, `"cookie":{"x":"y"}`, "X-Via: on_http\r\n", `"addr":"127.0.0.1"`}},
		{"POST /" + h + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\nx=1&y=2", 201, 0, []string{`"post":{"x":"1","y":"2"}`, `"body":"x=1&y=2"`}},
		{"POST /" + h + "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 96\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a b.txt\"\r\n\r\nthe upload content\r\n--b--\r\n", 201, 0, []string{`"files":{"f":["a b.txt","the upload content"]}`}},
		{"POST /" + h + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 201, 0, []string{`"body":"abc"`}},
		{"POST /" + h + "Content-Length: 100000\r\n\r\n" + strings.Repeat("x", 100_000), 201, 0, []string{`"body":"` + strings.Repeat("x", 100_000)}},
		{"POST /" + h + "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 7\r\n\r\nnonsens", 400, 0, []string{"the request's form: "}},
		{"GET /text" + h + "\r\n", 200, 0, []string{"\r\n\r\ntext"}},
		{"HEAD /text" + h + "\r\n", 200, 0, nil},
		{"GET /empty" + h + "\r\n", 204, 0, nil},
		{"GET /stream" + h + "\r\n", 200, 0, []string{"part 3\n"}},
		{"GET /broken" + h + "\r\n", 500, -1, []string{"in the middle"}},
		{"GET /throw" + h + "\r\n", 500, 0, []string{"thrown on purpose"}},
		{"GET /print" + h + "\r\n", 200, 0, []string{"printed"}},
		{"GET /shop/text" + h + "\r\n", 200, 0, []string{"text"}},
	} {
		for _, way := range ways {
			want := c.status
			if way.name == "web" && c.web != 0 {
				want = c.web
			}
			answer := way.send(t, p, c.request)
			if answer == nil {
				if want != -1 {
					t.Errorf("%s %.60q: no answer", way.name, c.request)
				}
				continue
			}
			method, _, _ := strings.Cut(c.request, " ")
			resp, _ := parseAnswer(t, answer, method)
			if resp.StatusCode != want {
				t.Errorf("%s %.60q: %d, want %d: %.300q", way.name, c.request, resp.StatusCode, want, answer)
			}
			texts := c.want
			if strings.Contains(string(answer), `"https":`) {
				if way.name == "app" {
					texts = append(texts, `"https":"on"`, `"session":32`)
				} else {
					texts = append(texts, `"https":""`, `"session":0`)
				}
			}
			for _, text := range texts {
				if !strings.Contains(string(answer), text) {
					t.Errorf("%s %.60q: %.100q is missing in %.500q", way.name, c.request, text, answer)
				}
			}
		}
	}
	awaitLog(t, log, "thrown on purpose")
}
