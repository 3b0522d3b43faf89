package php

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// recorder is a ResponseWriter that keeps what it gets.
type recorder struct {
	status  int
	header  http.Header
	length  int64
	body    bytes.Buffer
	writes  int
	flushes int
	refuse  error // of Write
	decline error // of Head
	hints   []http.Header
}

func (r *recorder) EarlyHints(header http.Header) error {
	r.hints = append(r.hints, header)
	return nil
}

func (r *recorder) Head(status int, header http.Header, length int64) error {
	r.status, r.header, r.length = status, header, length
	return r.decline
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.refuse != nil {
		return 0, r.refuse
	}
	r.writes++
	return r.body.Write(p)
}

func (r *recorder) Flush() error {
	r.flushes++
	return nil
}

// httpCall returns a call. target is below http://example.org:8080.
func httpCall(method, target string, header http.Header, body string) *HTTPCall {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		panic(err)
	}
	r := &http.Request{Method: method, URL: u, Proto: "HTTP/1.1", Host: "example.org:8080", Header: header}
	if body != "" {
		r.Body, r.ContentLength = readCloser{strings.NewReader(body)}, int64(len(body))
	}
	return &HTTPCall{
		Request:    r,
		ClientAddr: netip.MustParseAddrPort("192.0.2.7:4711"),
		ServerAddr: netip.MustParseAddrPort("192.0.2.1:8080"),
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func doHTTP(p *Pool, c *HTTPCall) (*recorder, error) {
	var w recorder
	err := p.DoHTTP(context.Background(), c, &w)
	return &w, err
}

func get(t *testing.T, p *Pool, target string) *recorder {
	t.Helper()
	return request(t, p, httpCall("GET", target, nil, ""))
}

func request(t *testing.T, p *Pool, c *HTTPCall) *recorder {
	t.Helper()
	w, err := doHTTP(p, c)
	if err != nil {
		t.Fatalf("%s %s: %v", c.Request.Method, c.Request.URL, err)
	}
	return w
}

// httpPool starts a pool of one worker that runs testdata/http.php.
func httpPool(t *testing.T) (*Pool, *logBuffer) {
	t.Helper()
	return start(t, httpOptions(t))
}

func httpOptions(t *testing.T) Options {
	return Options{Script: "testdata/http.php", MinWorkers: 1, MaxWorkers: 1, MemoryCeiling: 64 << 20, Env: map[string]string{"TMPDIR": t.TempDir()}}
}

func TestHTTPRequest(t *testing.T) {
	p, _ := httpPool(t)
	if !p.TakesHTTP() {
		t.Error("the script has an on_http")
	}
	c := httpCall("POST", "/dump?a[b]=1&a[c]=%00x&q=y+z", http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"},
		"Cookie":       {"one=1; two=a%20b", "three=3; one=later"},
		"User-Agent":   {"test"},
		"X-Twice":      {"first", "second"},
		"Proxy":        {"http://evil"},
		"X_Under":      {"hidden"},
	}, "f[]=1&f[]=2&name=v%26w")
	c.RequestURI, c.Prefix, c.HTTPS, c.Session, c.Key = "/shop/dump?a[b]=1&a[c]=%00x&q=y+z", "/shop", true, [16]byte{1, 15: 2}, "2027"
	var d struct {
		Method, Target, Path, URL, Scheme, Host, Protocol, IP, Session, Agent string
		Port                                                                  int
		Headers                                                               map[string][]string
		Query, Cookies, Form, Server                                          map[string]any
		Same                                                                  bool
	}
	body := request(t, p, c).body.Bytes()
	if err := json.Unmarshal(body, &d); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	for what, pair := range map[string][2]string{
		"method":   {d.Method, "POST"},
		"target":   {d.Target, "/dump?a[b]=1&a[c]=%00x&q=y+z"},
		"path":     {d.Path, "/dump"},
		"url":      {d.URL, "https://example.org:8080/dump?a[b]=1&a[c]=%00x&q=y+z"},
		"scheme":   {d.Scheme, "https"},
		"host":     {d.Host, "example.org:8080"},
		"protocol": {d.Protocol, "HTTP/1.1"},
		"ip":       {d.IP, "192.0.2.7"},
		"session":  {d.Session, "01000000000000000000000000000002"},
		"agent":    {d.Agent, "test"},
		"query":    {asJSON(d.Query), `{"a":{"b":"1","c":"\u0000x"},"q":"y z"}`},
		"cookies":  {asJSON(d.Cookies), `{"one":"1","three":"3","two":"a b"}`},
		"form":     {asJSON(d.Form), `{"f":["1","2"],"name":"v\u0026w"}`},
		"twice":    {strings.Join(d.Headers["X-Twice"], "|"), "first|second"},
		"fields":   {asJSON([]bool{d.Headers["Proxy"] != nil, d.Headers["X_Under"] != nil, d.Server["HTTP_PROXY"] != nil}), "[false,false,false]"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %s, want %s", what, pair[0], pair[1])
		}
	}
	if d.Port != 4711 || !d.Same {
		t.Errorf("port %d, same %t", d.Port, d.Same)
	}
	for name, want := range map[string]any{
		"REQUEST_METHOD": "POST", "REQUEST_URI": c.RequestURI, "QUERY_STRING": "a[b]=1&a[c]=%00x&q=y+z", "SERVER_PROTOCOL": "HTTP/1.1",
		"HTTP_HOST": "example.org:8080", "SERVER_NAME": "example.org", "SERVER_PORT": "8080", "SERVER_ADDR": "192.0.2.1",
		"REMOTE_ADDR": "192.0.2.7", "REMOTE_PORT": "4711", "HTTPS": "on", "REQUEST_SCHEME": "https", "SCRIPT_NAME": "/shop/http.php",
		"HTTP_X_TWICE": "first, second", "HTTP_COOKIE": "one=1; two=a%20b; three=3; one=later", "CONTENT_LENGTH": "22",
		"MEGAKI_SESSION": d.Session, "MEGAKI_KEY": "2027", "CONTENT_TYPE": "application/x-www-form-urlencoded",
	} {
		if d.Server[name] != want {
			t.Errorf("%s: %v, want %v", name, d.Server[name], want)
		}
	}
	who := strings.Fields(request(t, p, httpCall("GET", "/arca", nil, "")).body.String())
	if len(who) != 5 || len(who[0]) != 16 || strings.Trim(who[1], "0") != "" || who[2] != "192.0.2.7" || who[3] != "4711" || who[4] != "0" {
		t.Errorf("arca: %v", who)
	}
}

func asJSON(v any) string {
	p, _ := json.Marshal(v)
	return string(p)
}

func TestHTTPResponses(t *testing.T) {
	p, _ := httpPool(t)
	code, _ := os.ReadFile("testdata/http.php")
	pid := get(t, p, "/pid").body.String()
	const html, plain = "text/html; charset=UTF-8", "text/plain; charset=UTF-8"
	for _, c := range []struct {
		target, body string
		status       int
		length       int64
		header       map[string]string
	}{
		{"/hello", "hello", 200, 5, map[string]string{"Content-Type": html}},
		{"/print", "printed body", 404, 12, map[string]string{"Content-Type": html}},
		{"/reset", "200", 200, 3, nil},
		{"/printreturn", "printed, returned", 200, 17, nil},
		{"/nothing", "", 200, 0, map[string]string{"Content-Type": ""}},
		{"/response", "body", 418, 4, map[string]string{"X-One": "1", "X-Two": "a|b", "Set-Cookie": "c=v%201; Path=/; HttpOnly; SameSite=Lax"}},
		{"/nocontent", "", 204, -1, nil},
		{"/parts", "onetwo", 200, 6, nil},
		{"/generator", "onetwo", 201, -1, map[string]string{"Content-Type": html}},
		{"/promised", "0123456789", 200, 10, nil},
		{"/hint103", "hinted", 200, 6, map[string]string{"Link": "</a.css>; rel=preload"}},
		{"/status103", "printed", 200, 7, nil},
		{"/buffers", "left open", 200, 9, nil},
		{"/redirect", "", 303, 0, map[string]string{"Location": "/elsewhere"}},
		{"/resource", string(code), 200, int64(len(code)), map[string]string{"Content-Type": "text/x-php",
			"Content-Disposition": `attachment; filename="__rger _1_.php"; filename*=UTF-8''%C3%A4rger%20%221%22.php`}},
		{"/ours", "x", 200, 1, map[string]string{"Connection": "", "Transfer-Encoding": "", "Content-Length": "", "X-Kept": "y"}},
		{"/middle", "456789", 200, 6, nil},
		{"/pipe", "onetwo", 200, -1, nil},
		{"/big?n=65536", strings.Repeat("x", 65536), 200, 65536, nil},
		{"/big?n=10000000", strings.Repeat("x", 10_000_000), 200, 10_000_000, nil},
		{"/elsewhere", "no such thing", 404, 13, map[string]string{"Content-Type": plain}},
	} {
		w := get(t, p, c.target)
		if w.status != c.status || w.length != c.length || w.body.String() != c.body {
			t.Errorf("%s: status %d, length %d, body %.80q; want %d, %d, %.80q", c.target, w.status, w.length, &w.body, c.status, c.length, c.body)
		}
		for name, want := range c.header {
			if got := strings.Join(w.header[name], "|"); got != want {
				t.Errorf("%s: %s: %q, want %q", c.target, name, got, want)
			}
		}
		head := request(t, p, httpCall("HEAD", c.target, nil, ""))
		if head.body.Len() != 0 || head.status != c.status && c.target != "/generator" {
			t.Errorf("HEAD %s: %d, %q", c.target, head.status, &head.body)
		}
	}
	if w := get(t, p, "/generator"); w.flushes != 2 || w.writes != 2 {
		t.Errorf("a generator's parts: %d writes, %d flushes", w.writes, w.flushes)
	}
	if got := get(t, p, "/pid").body.String(); got != pid {
		t.Error("the worker was replaced")
	}
}

// TestEarlyHints: a response with the status 103 is an early hint and then a 200.
func TestEarlyHints(t *testing.T) {
	p, _ := httpPool(t)
	for target, want := range map[string]string{
		"/hints":     `[{"Link":["\u003c/a.css\u003e; rel=preload","\u003c/b.js\u003e; rel=preload"]},{"X-Second":["2"]}]`,
		"/hint103":   `[{"Link":["\u003c/a.css\u003e; rel=preload"]}]`,
		"/status103": "null", // a hint without fields has no use
		"/hintlate":  "null",
		"/hello":     "null",
	} {
		w := get(t, p, target)
		if got := asJSON(w.hints); got != want || w.status != 200 {
			t.Errorf("%s: status %d, hints %s, want %s", target, w.status, got, want)
		}
	}
	if w, err := doHTTP(p, httpCall("GET", "/hintsthrow", nil, "")); err == nil || len(w.hints) != 1 || w.status != 0 {
		t.Errorf("a script that fails after a hint: %v, %v, status %d", err, w.hints, w.status)
	}
}

// TestBodyBeyondItsLength: a body that is longer than its Content-Length is cut, with
// one warning. The worker goes on.
func TestBodyBeyondItsLength(t *testing.T) {
	p, log := httpPool(t)
	pid := get(t, p, "/pid").body.String()
	for i, target := range []string{"/long", "/longstring", "/longparts", "/longendless"} {
		w := get(t, p, target)
		if w.length != 10 || w.body.String() != "0123456789" {
			t.Errorf("%s: length %d, body %.80q", target, w.length, &w.body)
		}
		const text = "the body is longer than its Content-Length"
		if n := strings.Count(log.String(), text); n != i+1 {
			t.Errorf("%s: %d warnings of %d responses", target, n, i+1)
		}
	}
	if got := get(t, p, "/pid").body.String(); got != pid {
		t.Error("the worker was replaced")
	}
}

// TestHooks: on_start and on_stop are called around each request.
func TestHooks(t *testing.T) {
	p, log := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: script(t, `
		$seen = [];
		$ARCANGELO_USERSPACE = [
			'on_init' => function () use (&$seen) { $seen[] = 'init'; },
			'on_start' => function () use (&$seen) { $seen[] = 'start'; if (isset($_GET['late'])) { throw new Exception('too late'); } },
			'on_http' => function () use (&$seen) { $seen[] = 'http'; return implode(' ', $seen); },
			'on_stop' => function () use (&$seen) { $seen[] = 'stop'; if (isset($_GET['bad'])) { throw new Exception('stopped badly'); } },
		];`)})
	if got := get(t, p, "/").body.String(); got != "init start http" {
		t.Errorf("%q", got)
	}
	var script *ScriptError
	if _, err := doHTTP(p, httpCall("GET", "/?late", nil, "")); !errors.As(err, &script) || !strings.Contains(script.Message, "too late") {
		t.Errorf("on_start that throws: %v", err)
	}
	if got, want := get(t, p, "/?bad").body.String(), "init start http stop start stop start http"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	log.await(t, "on_stop: Exception: stopped badly")
	if _, err := do(p, "raw"); !errors.As(err, &script) || script.Fatal || !strings.Contains(script.Message, "the script has no on_handle") {
		t.Errorf("a raw message: %v", err)
	}
}

// TestHTTPErrors: the client gets the right response or error, and the pool recovers.
func TestHTTPErrors(t *testing.T) {
	p, log := httpPool(t)
	for _, c := range []struct {
		target, want string
		fatal        bool
		begun        bool
	}{
		{"/throw", "RuntimeException: thrown on purpose in ", false, false},
		{"/early", "LogicException: thrown early in ", false, false},
		{"/halfway", "LogicException: thrown halfway in ", false, true},
		{"/exithalfway", "the script called exit during a request", true, true},
		{"/short", "bytes shorter than its Content-Length", false, true},
		{"/exit", "the script called exit during a request", true, false},
		{"/fatal", "Fatal error: Cannot ", true, false},
		{"/eat", "Allowed memory size of ", true, false},
		{"/stuckbuffer", "nobody can end", true, false},
		{"/stuckexit", "the script called exit during a request", true, false},
		{"/stuckparts", "nobody can end", true, true},
		{"/destruct", "thrown by a destructor", false, true},
		{"/stuckthrow", "nobody can end", true, false},
		{"/unprintable", "the script called exit during a request", true, false},
		{"/status99", "can't have the status 99", false, false},
		{"/split", "the field X-A has a control character", false, false},
		{"/manyheaders", "300 values", false, false},
		{"/bigheader", "are the limits", false, false},
		{"/object", "on_http returned stdClass", false, false},
		{"/missing", "can't read the file /nonexistent", false, false},
	} {
		pid := get(t, p, "/pid").body.String()
		w, err := doHTTP(p, httpCall("GET", c.target, nil, ""))
		var script *ScriptError
		if !errors.As(err, &script) || !strings.Contains(script.Message, c.want) || script.Fatal != c.fatal {
			t.Errorf("%s: error %v, want %s", c.target, err, c.want)
		}
		if (w.status != 0) != c.begun {
			t.Errorf("%s: status %d, %q", c.target, w.status, &w.body)
		}
		if same := get(t, p, "/pid").body.String() == pid; same == c.fatal {
			t.Errorf("%s: the same worker goes on: %t", c.target, same)
		}
	}
	for target, want := range map[string]string{"/exitprinted": "403 decided", "/exitstatus": "404 "} {
		pid := get(t, p, "/pid").body.String()
		w := get(t, p, target)
		if got := asJSON(w.status) + " " + w.body.String(); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
		if get(t, p, "/pid").body.String() == pid {
			t.Errorf("%s: the worker goes on", target)
		}
	}
	log.await(t, "the script called exit during a request")
	log.await(t, "text=before")
	awaitWhole(t, p, 1)
}

// TestInvalidRequests: a worker gets no invalid request.
func TestInvalidRequests(t *testing.T) {
	p, _ := httpPool(t)
	pid := get(t, p, "/pid").body.String()
	for name, c := range map[string]*HTTPCall{
		"a NUL in a field": httpCall("GET", "/", http.Header{"X": {"a\x00b"}}, ""),
		"a short body":     httpCall("PUT", "/", nil, "x"),
	} {
		if c.Request.ContentLength > 0 {
			c.Request.ContentLength++
		}
		if _, err := doHTTP(p, c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got := request(t, p, httpCall("GET", "/pid", http.Header{"X-Large": {strings.Repeat("x", 100_000)}}, "")); got.body.String() != pid {
		t.Error("the worker was replaced")
	}
}

// TestLongFieldNames: a worker keeps no names that clients make up, as long as they may be.
func TestLongFieldNames(t *testing.T) {
	p, _ := httpPool(t)
	memory := func() int {
		t.Helper()
		get(t, p, "/memory") // the peak, which a request before it may have raised
		n, err := strconv.Atoi(get(t, p, "/memory").body.String())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := memory()
	for i := range 100 {
		name := fmt.Sprintf("X-%d-%s", i, strings.Repeat("a", 60_000))
		if got := request(t, p, httpCall("GET", "/hello", http.Header{name: {"x"}}, "")).body.String(); got != "hello" {
			t.Fatal(got)
		}
	}
	if after := memory(); after-before > 2<<20 {
		t.Errorf("100 requests with a long name have left %d bytes in the worker", after-before)
	}
}

// TestBodies: the script gets a body of any size as it was sent.
func TestBodies(t *testing.T) {
	opt := httpOptions(t)
	p, _ := start(t, opt)
	for _, size := range []int{1, smallBody, smallBody + 1, 256 << 10, 256<<10 + 1, 1 << 20, 20 << 20} {
		body := strings.Repeat("0123456\x00", size/8+1)[:size]
		want := hash(body) + " " + hash(body)
		for _, known := range []bool{true, false} {
			c := httpCall("PUT", "/hash", nil, body)
			if !known {
				c.Request.ContentLength = -1
			}
			if w := request(t, p, c); w.body.String() != want {
				t.Errorf("%d bytes: %s, want %s", size, &w.body, want)
			}
		}
	}
	// A script can read a body larger than PHP's memory bit by bit.
	h := md5.New()
	r := &endless{left: 100 << 20}
	c := httpCall("PUT", "/hashstream", nil, "")
	c.Request.Body, c.Request.ContentLength = io.NopCloser(io.TeeReader(r, h)), 100<<20
	if w := request(t, p, c); w.body.String() != hex.EncodeToString(h.Sum(nil)) {
		t.Errorf("100 MiB: %s", &w.body)
	}
	if left, _ := filepath.Glob(filepath.Join(opt.Env["TMPDIR"], "*")); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
}

// endless is a reader of a number of bytes.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left)
	for i := range p[:n] {
		p[i] = byte(i)
	}
	e.left -= n
	return n, nil
}
