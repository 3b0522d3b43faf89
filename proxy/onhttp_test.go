package proxy

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mkd/megaki"
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

// TestOnHTTPThroughBothListeners has a script's on_http respond to requests of a
// Megaki and an HTTP listener.
func TestOnHTTPThroughBothListeners(t *testing.T) {
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
		request  string
		status   int
		mayBreak bool // by HTTP: a part may have been sent before it failed
		want     []string
	}{
		{"GET /?a=b" + h + "Cookie: x=y\r\n\r\n", 201, false, []string{`"method":"GET"`, `"uri":"/?a=b"`, `"get":{"a":"b"}`, `"cookie":{"x":"y"}`, "X-Via: on_http\r\n", `"addr":"127.0.0.1"`}},
		{"POST /" + h + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\nx=1&y=2", 201, false, []string{`"post":{"x":"1","y":"2"}`, `"body":"x=1&y=2"`}},
		{"POST /" + h + "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 96\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a b.txt\"\r\n\r\nthe upload content\r\n--b--\r\n", 201, false, []string{`"files":{"f":["a b.txt","the upload content"]}`}},
		{"POST /" + h + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 201, false, []string{`"body":"abc"`}},
		{"POST /" + h + "Content-Length: 100000\r\n\r\n" + strings.Repeat("x", 100_000), 201, false, []string{`"body":"` + strings.Repeat("x", 100_000)}},
		{"POST /" + h + "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 7\r\n\r\nnonsens", 400, false, []string{"the request's form: "}},
		{"GET /text" + h + "\r\n", 200, false, []string{"\r\n\r\ntext"}},
		{"HEAD /text" + h + "\r\n", 200, false, nil},
		{"GET /empty" + h + "\r\n", 204, false, nil},
		{"GET /stream" + h + "\r\n", 200, false, []string{"part 3\n"}},
		{"GET /broken" + h + "\r\n", 500, true, []string{"in the middle"}},
		{"GET /throw" + h + "\r\n", 500, false, []string{"thrown on purpose"}},
		{"GET /print" + h + "\r\n", 200, false, []string{"printed"}},
		{"GET /shop/text" + h + "\r\n", 200, false, []string{"text"}},
	} {
		for _, way := range ways {
			want := c.status
			response := way.send(t, p, c.request)
			if response == nil {
				if way.name != "web" || !c.mayBreak {
					t.Errorf("%s %.60q: no response", way.name, c.request)
				}
				continue
			}
			method, _, _ := strings.Cut(c.request, " ")
			resp, _ := parseResponse(t, response, method)
			if resp.StatusCode != want {
				t.Errorf("%s %.60q: %d, want %d: %.300q", way.name, c.request, resp.StatusCode, want, response)
			}
			texts := c.want
			if strings.Contains(string(response), `"https":`) {
				if way.name == "app" {
					texts = append(texts, `"https":"on"`, `"session":32`)
				} else {
					texts = append(texts, `"https":""`, `"session":0`)
				}
			}
			for _, text := range texts {
				if !strings.Contains(string(response), text) {
					t.Errorf("%s %.60q: %.100q is missing in %.500q", way.name, c.request, text, response)
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

// asker sends requests through each of allListeners.
type asker struct {
	clients map[string]streamingClient // of HTTP
	app     *megaki.Client
}

func newAsker(t *testing.T, p *Daemon) *asker {
	t.Helper()
	return &asker{streamingClients(t, p), client(t, p, "app")}
}

// all sends a request through each listener, and returns the responses by the names of
// streamingClients, and that by Megaki as app.
func (a *asker) all(t *testing.T, method, target string, header http.Header, body string) map[string]exchanged {
	t.Helper()
	got := map[string]exchanged{"app": a.message(t, method, target, header, body)}
	for name := range a.clients {
		got[name] = a.one(t, name, method, target, header, body)
	}
	return got
}

// one sends a request of HTTP.
func (a *asker) one(t *testing.T, name, method, target string, header http.Header, body string) (x exchanged) {
	t.Helper()
	trace := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(status int, h textproto.MIMEHeader) error {
		if status == http.StatusEarlyHints {
			x.hints = append(x.hints, h.Get("Link"))
		}
		return nil
	}})
	r, err := http.NewRequestWithContext(trace, method, a.clients[name].base+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(r.Header, header)
	resp, err := a.clients[name].client.Do(r)
	if err != nil {
		x.broken = true
		return x
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	x.status, x.header, x.body, x.broken = resp.StatusCode, resp.Header, string(data), err != nil
	return x
}

// message sends a request in a message.
func (a *asker) message(t *testing.T, method, target string, header http.Header, body string) exchanged {
	t.Helper()
	var m bytes.Buffer
	fmt.Fprintf(&m, "%s %s HTTP/1.1\r\nHost: localhost\r\n", method, target)
	header.Write(&m)
	fmt.Fprintf(&m, "Content-Length: %d\r\n\r\n%s", len(body), body)
	response, err := a.app.Send(t.Context(), m.Bytes())
	if err != nil {
		return exchanged{broken: true}
	}
	resp, text := parseResponse(t, response, method)
	return exchanged{status: resp.StatusCode, header: resp.Header, body: text}
}

// TestOnHTTPThroughAllListeners has a script's on_http respond through Megaki,
// HTTP and HTTPS listeners.
func TestOnHTTPThroughAllListeners(t *testing.T) {
	files := t.TempDir()
	if err := os.WriteFile(filepath.Join(files, "a.txt"), []byte("the file"), 0o644); err != nil {
		t.Fatal(err)
	}
	script := onHTTP(t, `
require_once 'Nyholm/Psr7/autoload.php';
use arca\Request;
use arca\Response;
$factory = new Nyholm\Psr7\Factory\Psr17Factory();
$psr = arca\psr(fn ($r) => $factory->createResponse()->withBody($factory->createStream(json_encode([$r->getParsedBody(),
	array_map(fn ($f) => (string) $f->getStream(), $r->getUploadedFiles()), getallheaders()['X-Own'] ?? null]))), $factory);
$ARCANGELO_USERSPACE = ['on_http' => function (Request $r) use ($psr) {
	$files = '`+files+`';
	switch ($r->path) {
		case '/hints': Response::earlyHints(['Link' => '</a.css>']); Response::earlyHints(['Link' => '</b.css>']); return 'hinted';
		case '/hint103': return new Response('hinted', 103, ['Link' => '</a.css>']);
		case '/accel': return new Response('dropped', 200, ['X-Accel-Redirect' => '/protected/a.txt', 'Content-Type' => 'text/x-own', 'X-Kept' => '1']);
		case '/accelstream': return Response::stream((function () { for ($i = 0; $i < 1_000_000; $i++) yield 'dropped'; })())->header('X-Accel-Redirect', '/protected/a.txt');
		case '/accelmissing': return new Response('', 200, ['X-Accel-Redirect' => '/protected/b.txt']);
		case '/sendfile': return new Response('', 200, ['X-Sendfile' => "$files/a.txt"]);
		case '/outside': return new Response('', 200, ['X-Sendfile' => '/etc/passwd']);
		case '/long': return new Response((function () { yield '0123456789'; yield "\n"; })(), 200, ['Content-Length' => 10]);
		case '/short': return new Response((function () { yield '01234'; })(), 200, ['Content-Length' => 10]);
		case '/form': return json_encode([$r->form, array_map(fn ($f) => $f->contents(), $r->files), $_POST, getallheaders()['X-Own'] ?? null]);
		case '/psrform': return $psr($r);
		case '/printed': echo 'printed '; ob_start(); echo 'and '; ob_flush(); flush(); echo 'flushed '; return 'and returned';
	}
	return new Response('no such thing', 404);
}];`)
	p, log := allListeners(t, `
backends:
  site: {php: {script: `+script+`, workers: {min: 1, max: 1}, send_file: {root: `+files+`, prefix: /protected}}}
routes:
  - {backend: site, compress: true}
`)
	asker := newAsker(t, p)
	const urlencoded = "application/x-www-form-urlencoded"
	const multi = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\ncontent\r\n--b--\r\n"
	hints := func(links ...string) map[string][]string { // by listener: a message has no room for them
		return map[string][]string{"h1": links, "tls": links, "h2": links, "h3": links}
	}
	for _, c := range []struct {
		method, target string
		header         http.Header
		send           string // the body
		status         int    // -1: no whole response, or an error
		body           string
		want           http.Header // in the response; "": not there
		hints          map[string][]string
	}{
		{"GET", "/hints", nil, "", 200, "hinted", http.Header{"Link": {""}}, hints("</a.css>", "</b.css>")},
		{"GET", "/hint103", nil, "", 200, "hinted", http.Header{"Link": {"</a.css>"}}, hints("</a.css>")},
		{"HEAD", "/hint103", nil, "", 200, "", nil, hints("</a.css>")},
		{"GET", "/accel", nil, "", 200, "the file", http.Header{"X-Accel-Redirect": {""}, "Content-Type": {"text/x-own"}, "X-Kept": {"1"}, "Content-Length": {"8"}}, nil},
		{"GET", "/accel", http.Header{"Range": {"bytes=4-"}}, "", 206, "file", http.Header{"Content-Range": {"bytes 4-7/8"}}, nil},
		{"HEAD", "/accel", nil, "", 200, "", http.Header{"Content-Length": {"8"}}, nil},
		{"GET", "/accelstream", nil, "", 200, "the file", nil, nil},
		{"GET", "/accelmissing", nil, "", 404, "404 Not Found\n", nil, nil},
		{"GET", "/sendfile", nil, "", 200, "the file", http.Header{"X-Sendfile": {""}, "Content-Type": {"text/plain"}}, nil},
		{"GET", "/outside", nil, "", 502, "502 Bad Gateway\n", nil, nil},
		{"GET", "/long", nil, "", 200, "0123456789", http.Header{"Content-Length": {"10"}}, nil},
		{"GET", "/printed", nil, "", 200, "printed and flushed and returned", nil, nil},
		{"PUT", "/form", http.Header{"Content-Type": {urlencoded}, "X-Own": {"x"}}, "a=1", 200, `[{"a":"1"},[],[],"x"]`, nil, nil},
		{"PATCH", "/form", http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}, multi, 200, `[{"a":"1"},{"f":"content"},[],null]`, nil, nil},
		{"DELETE", "/form", http.Header{"Content-Type": {urlencoded}}, "a=1", 200, `[{"a":"1"},[],[],null]`, nil, nil},
		{"POST", "/form", http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}, multi, 200, `[{"a":"1"},{"f":"content"},{"a":"1"},null]`, nil, nil},
		{"PUT", "/psrform", http.Header{"Content-Type": {urlencoded}, "X-Own": {"x"}}, "a=1", 200, `[{"a":"1"},[],"x"]`, nil, nil},
		{"PATCH", "/psrform", http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}, multi, 200, `[{"a":"1"},{"f":"content"},null]`, nil, nil},
		{"DELETE", "/psrform", http.Header{"Content-Type": {urlencoded}}, "a=1", 200, `[{"a":"1"},[],null]`, nil, nil},
		{"GET", "/short", nil, "", -1, "", nil, nil},
	} {
		for name, got := range asker.all(t, c.method, c.target, c.header, c.send) {
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

// TestPrintedReachesTheClientAtOnce: what an on_http and a PSR handler print and flush, in
// any way, is with a client of each listener of HTTP before the script goes on. A message
// has it all together.
func TestPrintedReachesTheClientAtOnce(t *testing.T) {
	release := filepath.Join(t.TempDir(), "go")
	script := onHTTP(t, `
require_once 'Nyholm/Psr7/autoload.php';
function printed(string $way, string $go): void {
	echo "one\n";
	switch ($way) {
		case 'ob_flush': ob_flush(); break;
		case 'ob_end_flush': ob_end_flush(); break;
		case 'all': while (ob_get_level()) ob_end_flush(); flush(); break;
		case 'flush': flush(); break;
		case 'nested': ob_start(); echo "and\n"; ob_end_flush(); flush(); break;
	}
	while (!file_exists($go)) usleep(1000);
	echo "two\n";
}
$factory = new Nyholm\Psr7\Factory\Psr17Factory();
$psr = arca\psr(function ($r) use ($factory) {
	$query = $r->getQueryParams();
	printed($query['way'], $query['go']);
	return $factory->createResponse()->withBody($factory->createStream("returned\n"));
}, $factory);
$ARCANGELO_USERSPACE = ['on_http' => function (arca\Request $r) use ($psr) {
	if ($r->path === '/psr') return $psr($r);
	printed($r->query['way'], $r->query['go']);
	return "returned\n";
}];`)
	p, log := allListeners(t, `
backends:
  site: {php: {script: `+script+`, workers: {min: 1, max: 1}}}
routes:
  - backend: site
`)
	asker := newAsker(t, p)
	for _, handler := range []string{"/on_http", "/psr"} {
		for _, flush := range []string{"ob_flush", "ob_end_flush", "all", "flush", "nested"} {
			want := "one\n"
			if flush == "nested" {
				want = "one\nand\n"
			}
			target := handler + "?way=" + flush + "&go=" + release
			for name, way := range asker.clients {
				name := handler[1:] + flush + name
				resp, err := way.client.Get(way.base + target + name)
				if err != nil {
					t.Fatal(err)
				}
				first := make([]byte, len(want))
				if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != want {
					t.Fatalf("%s: %q, %v before the script goes on", name, first, err)
				}
				touch(t, release+name)
				if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "two\nreturned\n" {
					t.Errorf("%s: then %q, %v", name, rest, err)
				}
				resp.Body.Close()
			}
			touch(t, release)
			if got := asker.message(t, "GET", target, nil, ""); got.status != 200 || got.body != want+"two\nreturned\n" {
				t.Errorf("%s %s in a message: %+v", handler, flush, got)
			}
		}
	}
	if data, err := os.ReadFile(log); err != nil || strings.Contains(string(data), "one") {
		t.Errorf("the log has what was printed: %s, %v", data, err)
	}
}

// TestFileOfAResponseAsAFile sends the same requests for a file to a files backend
// and to an on_http that returns Response::file, and compares the responses.
func TestFileOfAResponseAsAFile(t *testing.T) {
	files := t.TempDir()
	file := filepath.Join(files, "a.txt")
	if err := os.WriteFile(file, []byte("0123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	changed := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	if err := os.Chtimes(file, changed, changed); err != nil {
		t.Fatal(err)
	}
	script := onHTTP(t, `$ARCANGELO_USERSPACE = ['on_http' => fn ($r) => arca\Response::file('`+file+`', 'text/plain')];`)
	p, _ := allListeners(t, `
backends:
  script: {php: {script: `+script+`, workers: {min: 1, max: 1}}}
  files: {files: {root: `+files+`}}
routes:
  - {match: {paths: [/files/*]}, strip_prefix: /files, backend: files}
  - backend: script
`)
	asker := newAsker(t, p)
	before, after := changed.Add(-time.Second).Format(http.TimeFormat), changed.Add(time.Second).Format(http.TimeFormat)
	same := changed.Format(http.TimeFormat)
	for _, c := range []string{
		"", "Range: bytes=0-0", "Range: bytes=2-5", "Range: bytes=2-", "Range: bytes=-3", "Range: bytes=-30", "Range: bytes=0-100", "Range: bytes=9-9",
		"Range: bytes=10-", "Range: bytes=10-12", "Range: bytes=5-2", "Range: bytes=", "Range: bytes=-", "Range: bytes=x-y", "Range: items=0-1", "Range: bytes 0-1",
		"If-None-Match: TAG", "If-None-Match: W/TAG", `If-None-Match: "other", TAG`, `If-None-Match: "other"`, "If-None-Match: *",
		"If-Match: TAG", "If-Match: W/TAG", `If-Match: "other"`, "If-Match: *",
		"If-Modified-Since: " + same, "If-Modified-Since: " + before, "If-Modified-Since: " + after, "If-Modified-Since: nonsense",
		"If-Unmodified-Since: " + same, "If-Unmodified-Since: " + before, "If-Unmodified-Since: " + after, "If-Unmodified-Since: nonsense",
		"If-None-Match: \"other\"\nIf-Modified-Since: " + same, "If-Match: TAG\nIf-Unmodified-Since: " + before,
		"If-Range: TAG\nRange: bytes=2-5", "If-Range: W/TAG\nRange: bytes=2-5", "If-Range: \"other\"\nRange: bytes=2-5",
		"If-Range: " + same + "\nRange: bytes=2-5", "If-Range: " + before + "\nRange: bytes=2-5",
		"If-None-Match: TAG\nRange: bytes=2-5", "If-Modified-Since: " + before + "\nRange: bytes=2-5",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			ask := func(target string) map[string]exchanged {
				h := http.Header{}
				tag := asker.one(t, "h1", "HEAD", target, h, "").header.Get("Etag")
				for line := range strings.Lines(strings.ReplaceAll(c, "TAG", tag)) {
					name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
					h.Add(name, value)
				}
				return asker.all(t, method, target, h, "")
			}
			want, got := ask("/files/a.txt"), ask("/script/a.txt")
			for name, w := range want {
				g := got[name]
				if w.status >= 400 { // mkd's own page
					w.body, g.body = "", ""
				}
				if g.broken || g.status != w.status || g.body != w.body {
					t.Errorf("%s %s %q: %d %q, want %d %q", name, method, c, g.status, g.body, w.status, w.body)
				}
				for _, field := range []string{"Content-Range", "Last-Modified", "Accept-Ranges", "Content-Type", "Content-Length"} {
					if w.status >= 400 && (field != "Content-Range" || w.header.Get(field) == "") { // a 416 may well say how long the file is
						continue
					}
					if g.header.Get(field) != w.header.Get(field) {
						t.Errorf("%s %s %q: %s: %q, want %q", name, method, c, field, g.header.Get(field), w.header.Get(field))
					}
				}
				if (g.header.Get("Etag") == "") != (w.header.Get("Etag") == "") {
					t.Errorf("%s %s %q: ETag %q, want one like %q", name, method, c, g.header.Get("Etag"), w.header.Get("Etag"))
				}
			}
		}
	}
}
