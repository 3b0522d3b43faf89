package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
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

// exchanged is what a client got for a request to an on_http.
type exchanged struct {
	status int
	header http.Header
	body   string
	hints  []string // Link of each early hint
	broken bool     // the response has no end, or there is none
}

// askAll sends a request through a Megaki, an HTTP and an HTTPS listener (app,
// web and secure; HTTP/2), and returns the responses by the listener's name.
func askAll(t *testing.T, p *Proxy, secure *http.Client, method, target string, header http.Header, body string) map[string]exchanged {
	t.Helper()
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	got := map[string]exchanged{}
	for name, way := range map[string]struct {
		client *http.Client
		base   string
	}{"web": {plain, "http://" + p.Addr("web").String()}, "secure": {secure, "https://" + strings.Replace(p.Addr("secure").String(), "127.0.0.1", "localhost", 1)}} {
		var x exchanged
		trace := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(status int, h textproto.MIMEHeader) error {
			if status == http.StatusEarlyHints {
				x.hints = append(x.hints, h.Get("Link"))
			}
			return nil
		}})
		r, err := http.NewRequestWithContext(trace, method, way.base+target, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header.Clone()
		resp, err := way.client.Do(r)
		if err != nil {
			x.broken = true
			got[name] = x
			continue
		}
		data, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		x.status, x.header, x.body, x.broken = resp.StatusCode, resp.Header, string(data), err != nil
		got[name] = x
	}
	var m bytes.Buffer
	fmt.Fprintf(&m, "%s %s HTTP/1.1\r\nHost: localhost\r\n", method, target)
	header.Write(&m)
	fmt.Fprintf(&m, "Content-Length: %d\r\n\r\n%s", len(body), body)
	answer, err := client(t, p, "app").Send(t.Context(), m.Bytes())
	if err != nil {
		got["app"] = exchanged{broken: true}
		return got
	}
	resp, text := parseAnswer(t, answer, method)
	got["app"] = exchanged{status: resp.StatusCode, header: resp.Header, body: text}
	return got
}

// TestOnHTTPThroughAllListeners has a script's on_http respond through Megaki,
// HTTP and HTTPS listeners.
func TestOnHTTPThroughAllListeners(t *testing.T) {
	files := t.TempDir()
	if err := os.WriteFile(filepath.Join(files, "a.txt"), []byte("the file"), 0o644); err != nil {
		t.Fatal(err)
	}
	script := onHTTP(t, `
use arca\Request;
use arca\Response;
$ARCANGELO_USERSPACE = ['on_http' => function (Request $r) {
	$files = '`+files+`';
	switch ($r->path) {
		case '/hints': Response::earlyHints(['Link' => '</a.css>']); Response::earlyHints(['Link' => '</b.css>']); return 'hinted';
		case '/hint103': return new Response('hinted', 103, ['Link' => '</a.css>']);
		case '/accel': return new Response('dropped', 200, ['X-Accel-Redirect' => '/protected/a.txt', 'Content-Type' => 'text/x-own', 'X-Kept' => '1']);
		case '/accelstream': return Response::stream((function () { while (true) yield 'dropped'; })())->header('X-Accel-Redirect', '/protected/a.txt');
		case '/accelmissing': return new Response('', 200, ['X-Accel-Redirect' => '/protected/b.txt']);
		case '/sendfile': return new Response('', 200, ['X-Sendfile' => "$files/a.txt"]);
		case '/outside': return new Response('', 200, ['X-Sendfile' => '/etc/passwd']);
		case '/long': return new Response((function () { yield '0123456789'; yield "\n"; })(), 200, ['Content-Length' => 10]);
		case '/short': return new Response((function () { yield '01234'; })(), 200, ['Content-Length' => 10]);
	}
	return new Response('no such thing', 404);
}];`)
	cfg := load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
  secure: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}}}
backends:
  site: {php: {script: `+script+`, workers: {min: 1, max: 1}, send_file: {root: `+files+`, prefix: /protected}}}
routes:
  - {backend: site, compress: true}
`)
	p, log := start(t, cfg)
	secure := trusting(t, filepath.Join(cfg.Storage, "internal", "secure.crt"))
	hints := func(links ...string) map[string][]string { // by listener: a message has no room for them
		return map[string][]string{"web": links, "secure": links}
	}
	for _, c := range []struct {
		method, target string
		header         http.Header
		status         int // -1: no whole response, or an error
		body           string
		want           http.Header // in the response; "": not there
		hints          map[string][]string
	}{
		{"GET", "/hints", nil, 200, "hinted", http.Header{"Link": {""}}, hints("</a.css>", "</b.css>")},
		{"GET", "/hint103", nil, 200, "hinted", http.Header{"Link": {"</a.css>"}}, hints("</a.css>")},
		{"HEAD", "/hint103", nil, 200, "", nil, hints("</a.css>")},
		{"GET", "/accel", nil, 200, "the file", http.Header{"X-Accel-Redirect": {""}, "Content-Type": {"text/x-own"}, "X-Kept": {"1"}, "Content-Length": {"8"}}, nil},
		{"GET", "/accel", http.Header{"Range": {"bytes=4-"}}, 206, "file", http.Header{"Content-Range": {"bytes 4-7/8"}}, nil},
		{"HEAD", "/accel", nil, 200, "", http.Header{"Content-Length": {"8"}}, nil},
		{"GET", "/accelstream", nil, 200, "the file", nil, nil},
		{"GET", "/accelmissing", nil, 404, "404 Not Found\n", nil, nil},
		{"GET", "/sendfile", nil, 200, "the file", http.Header{"X-Sendfile": {""}, "Content-Type": {"text/plain"}}, nil},
		{"GET", "/outside", nil, 502, "502 Bad Gateway\n", nil, nil},
		{"GET", "/long", nil, 200, "0123456789", http.Header{"Content-Length": {"10"}}, nil},
		{"GET", "/short", nil, -1, "", nil, nil},
	} {
		for name, got := range askAll(t, p, secure, c.method, c.target, c.header, "") {
			if c.status < 0 {
				if !got.broken && got.status != 500 {
					t.Errorf("%s %s %s: a whole response: %+v", name, c.method, c.target, got)
				}
				continue
			}
			if got.broken || got.status != c.status || got.body != c.body || fmt.Sprint(got.hints) != fmt.Sprint(c.hints[name]) {
				t.Errorf("%s %s %s: %+v, want %d %q, hints %v", name, c.method, c.target, got, c.status, c.body, c.hints[name])
			}
			for field, values := range c.want {
				if text := got.header.Get(field); text != values[0] {
					t.Errorf("%s %s %s: %s: %q, want %q", name, c.method, c.target, field, text, values[0])
				}
			}
		}
	}
	awaitLog(t, log, "outside of send_file")
	awaitLog(t, log, "longer than its Content-Length")
}
