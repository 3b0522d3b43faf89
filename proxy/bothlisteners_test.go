package proxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// seen is a request as an upstream saw it.
type seen struct {
	line    string // method and target
	host    string
	headers string // sorted, one a line
	body    string
}

// recorder is an upstream that remembers what it saw.
type recorder struct {
	*httptest.Server
	mu   sync.Mutex
	last []seen
}

// newRecorder starts an upstream with a handler. Without one it responds ok.
func newRecorder(t testing.TB, response http.HandlerFunc) *recorder {
	t.Helper()
	rec := new(recorder)
	rec.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s := seen{line: r.Method + " " + r.RequestURI, host: r.Host, body: string(body)}
		for _, name := range slices.Sorted(maps.Keys(r.Header)) {
			for _, v := range r.Header[name] {
				s.headers += name + ": " + v + "\n"
			}
		}
		rec.mu.Lock()
		rec.last = append(rec.last, s)
		rec.mu.Unlock()
		if response != nil {
			response(w, r)
			return
		}
		w.Header()["Date"] = nil
		io.WriteString(w, "ok")
	}))
	t.Cleanup(rec.Close)
	return rec
}

// take returns what was seen since the last call.
func (r *recorder) take() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.last
	r.last = nil
	return s
}

// bothListeners starts a Megaki and an HTTP listener in front of one upstream. ROUTES are put
// before the route that leads there.
func bothListeners(t *testing.T, upstream, routes string) *Daemon {
	t.Helper()
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  api: {http: {upstreams: [{url: `+upstream+`}]}}
routes:
`+routes+`
  - backend: api
`))
	return p
}

// ways are the listeners that take HTTP requests. Each returns the response
// in bytes, nil if the connection was closed without one.
var ways = []struct {
	name string
	send func(t *testing.T, p *Daemon, request string) []byte
}{
	{"app", func(t *testing.T, p *Daemon, request string) []byte {
		response, err := client(t, p, "app").Send(t.Context(), []byte(request))
		if err != nil {
			return nil
		}
		return response
	}},
	{"web", sendWeb},
}

// sendWeb sends bytes to the HTTP listener, and returns the first response.
func sendWeb(t *testing.T, p *Daemon, request string) []byte {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr("web").String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	go io.WriteString(conn, request) // a response may come before the end
	method, _, _ := strings.Cut(request, " ")
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		return nil
	}
	resp.Header.Del("Date") // the server's own
	resp.Header.Del("Connection")
	resp.Close = false
	var out bytes.Buffer
	if err := resp.Write(&out); err != nil {
		return nil
	}
	return out.Bytes()
}

func parseResponse(t *testing.T, response []byte, method string) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(response)), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%v in %q", err, response)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%v in %q", err, response)
	}
	return resp, string(body)
}

// TestSameThroughBothListeners compares what an upstream sees of a request that
// comes by Megaki and by HTTP. The documented differences are the session, the
// protocol that is reported, and chunks: a message's are joined.
func TestSameThroughBothListeners(t *testing.T) {
	rec := newRecorder(t, nil)
	p := bothListeners(t, rec.URL, `
  - {match: {paths: [/v1/*]}, strip_prefix: /v1, backend: api}
  - match: {hosts: [other.example.org, "*.deep.example.org"]}
    headers: {request: {set: {X-Set: a, Host: inner.example}, add: {Accept: added/type}, remove: [Cookie]}, response: {set: {X-Out: b}, remove: [Server]}}
    backend: api
  - {match: {headers: {X-Api-Key: secret}}, respond: {status: 202, body: by header}}
  - {match: {methods: [PROPFIND]}, redirect: {to: "https://{host}{uri}", status: 308}}
  - {match: {paths: [/exact, "*.php"]}, respond: {status: 403}}
`)
	const h = " HTTP/1.1\r\nHost: example.org\r\n"
	for _, c := range []struct {
		name, request string
		status        int
		line          string // what the upstream sees; "": nothing
		host          string
		headers, body string
		response      string // contained in the response
	}{
		{name: "simple", request: "GET /" + h + "\r\n", status: 200, line: "GET /", response: "\r\n\r\nok"},
		{name: "query", request: "GET /a?b=c%20d&e" + h + "\r\n", status: 200, line: "GET /a?b=c%20d&e"},
		{name: "head", request: "HEAD /" + h + "\r\n", status: 200, line: "HEAD /", response: "Content-Length: 2\r\n"},
		{name: "post", request: "POST /" + h + "Content-Length: 4\r\n\r\nbody", status: 200, line: "POST /", headers: "Content-Length: 4\n", body: "body"},
		{name: "empty post", request: "POST /" + h + "Content-Length: 0\r\n\r\n", status: 200, line: "POST /", headers: "Content-Length: 0\n"},
		{name: "put", request: "PUT /x" + h + "Content-Length: 4\r\n\r\nbody", status: 200, line: "PUT /x", headers: "Content-Length: 4\n", body: "body"},
		{name: "fields", request: "GET /" + h + "Cookie: a=b\r\nCookie: c=d\r\nAccept: x/y\r\nUser-Agent: test\r\n\r\n", status: 200, line: "GET /",
			headers: "Accept: x/y\nCookie: a=b\nCookie: c=d\nUser-Agent: test\n"},
		{name: "path in one form", request: "GET //a/./b/../%7Euser/%2e%2E/c%2fd" + h + "\r\n", status: 200, line: "GET /a/c%2Fd"},
		{name: "climbing", request: "GET /../etc" + h + "\r\n", status: 400},
		{name: "NUL", request: "GET /a%00b" + h + "\r\n", status: 400},
		{name: "broken escape", request: "GET /%zz" + h + "\r\n", status: 400},
		{name: "absolute form", request: "GET http://example.org/a?b" + h + "\r\n", status: 200, line: "GET /a?b"},
		{name: "strip prefix", request: "GET /v1/users%2F1?x" + h + "\r\n", status: 200, line: "GET /users%2F1?x"},
		{name: "strip prefix alone", request: "GET /v1/" + h + "\r\n", status: 200, line: "GET /"},
		{name: "no prefix", request: "GET /v1x" + h + "\r\n", status: 200, line: "GET /v1x"},
		{name: "changes", request: "GET / HTTP/1.1\r\nHost: OTHER.example.org.:8080\r\nCookie: a\r\nAccept: x/y\r\n\r\n", status: 200, line: "GET /", host: "inner.example",
			headers: "Accept: x/y\nAccept: added/type\nX-Set: a\n", response: "X-Out: b\r\n"},
		{name: "below a host", request: "GET / HTTP/1.1\r\nHost: a.b.deep.example.org\r\n\r\n", status: 200, line: "GET /", host: "inner.example",
			headers: "Accept: added/type\nX-Set: a\n"},
		{name: "not below", request: "GET / HTTP/1.1\r\nHost: deep.example.org\r\n\r\n", status: 200, line: "GET /", host: "deep.example.org"},
		{name: "by header", request: "GET /" + h + "X-Api-Key: secret\r\n\r\n", status: 202, response: "by header"},
		{name: "other header", request: "GET /" + h + "X-Api-Key: wrong\r\n\r\n", status: 200, line: "GET /", headers: "X-Api-Key: wrong\n"},
		{name: "redirect", request: "PROPFIND /a%20b?c" + h + "\r\n", status: 308, response: "Location: https://example.org/a%20b?c\r\n"},
		{name: "exact", request: "GET /exact" + h + "\r\n", status: 403, response: "403 Forbidden"},
		{name: "suffix", request: "GET /x/y.php" + h + "\r\n", status: 403},
		{name: "hidden suffix", request: "GET /x/y.%70hp" + h + "\r\n", status: 403},
		{name: "upper case", request: "GET /EXACT" + h + "\r\n", status: 200, line: "GET /EXACT"},
		{name: "hop by hop", request: "GET /" + h + "Keep-Alive: 1\r\nTE: trailers\r\nProxy-Authorization: x\r\nUpgrade: h2c\r\nConnection: X-Own, keep-alive\r\nX-Own: 1\r\nX-Kept: 2\r\n\r\n",
			status: 200, line: "GET /", headers: "X-Kept: 2\n"},
		{name: "forged", request: "GET /" + h + "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Host: evil\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\nX-Megaki-Session: 00\r\nX-Megaki-Admin: 1\r\n\r\n",
			status: 200, line: "GET /"},
		{name: "HTTP/1.0", request: "GET /old HTTP/1.0\r\nHost: example.org\r\n\r\n", status: 200, line: "GET /old"},
	} {
		for _, way := range ways {
			t.Run(c.name+" "+way.name, func(t *testing.T) {
				response := way.send(t, p, c.request)
				if response == nil {
					t.Fatal("no answer")
				}
				method, _, _ := strings.Cut(c.request, " ")
				if resp, _ := parseResponse(t, response, method); resp.StatusCode != c.status {
					t.Errorf("status %d, want %d: %q", resp.StatusCode, c.status, response)
				}
				if !bytes.Contains(response, []byte(c.response)) {
					t.Errorf("%q is missing in %q", c.response, response)
				}
				saw := rec.take()
				if c.line == "" {
					if len(saw) > 0 {
						t.Errorf("the upstream saw %q", saw)
					}
					return
				}
				if len(saw) != 1 {
					t.Fatalf("the upstream saw %q", saw)
				}
				host, forwardedHost := c.host, "example.org"
				if host == "" {
					host = "example.org"
				}
				if _, after, ok := strings.Cut(c.request, "Host: "); ok {
					forwardedHost, _, _ = strings.Cut(after, "\r\n")
				}
				proto := "http"
				headers := c.headers + "X-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: " + forwardedHost + "\n"
				if way.name == "app" {
					proto = "https"
				}
				headers += "X-Forwarded-Proto: " + proto + "\n"
				got := saw[0]
				session := ""
				lines := strings.Split(got.headers, "\n")
				lines = slices.DeleteFunc(lines, func(l string) bool {
					if s, ok := strings.CutPrefix(l, "X-Megaki-Session: "); ok {
						session = s
						return true
					}
					return false
				})
				if (way.name == "app") != (len(session) == 32) {
					t.Errorf("the session is told as %q", session)
				}
				want := strings.Split(headers, "\n")
				slices.SortStableFunc(want, func(a, b string) int { return strings.Compare(fieldName(a), fieldName(b)) })
				slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(fieldName(a), fieldName(b)) })
				if !slices.Equal(lines, want) {
					t.Errorf("header %q\nwant   %q", lines, want)
				}
				if got.line != c.line || got.host != host || got.body != c.body {
					t.Errorf("%q %q %q, want %q %q %q", got.line, got.host, got.body, c.line, host, c.body)
				}
			})
		}
	}
}

func fieldName(line string) string { name, _, _ := strings.Cut(line, ":"); return name }

// TestResponses has an upstream respond in all ways that matter to framing.
func TestResponses(t *testing.T) {
	long := strings.Repeat("x", 2<<20)
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(204)
		case "/304":
			w.Header().Set("Etag", `"x"`)
			w.WriteHeader(304)
		case "/103":
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(103)
			io.WriteString(w, "after hints")
		case "/chunked":
			io.WriteString(w, "first ")
			w.(http.Flusher).Flush()
			io.WriteString(w, "second")
		case "/hop":
			w.Header().Set("Connection", "X-Own")
			w.Header().Set("X-Own", "1")
			w.Header().Set("Keep-Alive", "timeout=5")
			w.Header().Set("Set-Cookie", "a=b")
			w.Header().Add("Set-Cookie", "c=d")
			io.WriteString(w, "hop")
		case "/long":
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			io.WriteString(w, long)
		case "/endless":
			for range 4 {
				io.WriteString(w, long)
				w.(http.Flusher).Flush()
			}
		case "/cut":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "too little")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/cutchunks":
			io.WriteString(w, "too little")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/close":
			panic(http.ErrAbortHandler)
		case "/slow":
			select {
			case <-time.After(20 * time.Second):
			case <-r.Context().Done():
			}
		}
	})
	p := bothListeners(t, rec.URL, "  - {match: {paths: [/slow]}, timeout: 300ms, backend: api}\n")
	for _, c := range []struct {
		path, method  string
		app, web      int // 0: no whole response
		contains, not string
	}{
		{"/204", "GET", 204, 204, "", "Content-Length"},
		{"/304", "GET", 304, 304, "Etag: \"x\"\r\n", "Content-Length"},
		{"/103", "GET", 200, 103, "", ""},
		{"/chunked", "GET", 200, 200, "first second", ""},
		{"/chunked", "HEAD", 200, 200, "", "first"},
		{"/hop", "GET", 200, 200, "Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n", "X-Own"},
		{"/long", "GET", 502, 200, "", ""},
		{"/long", "HEAD", 200, 200, "Content-Length: 2097152\r\n", ""},
		{"/endless", "GET", 502, 200, "", ""},
		{"/cut", "GET", 502, 0, "", ""},
		{"/cutchunks", "GET", 502, 0, "", ""},
		{"/close", "GET", 502, 502, "502 Bad Gateway", ""},
		{"/slow", "GET", 504, 504, "504 Gateway Timeout", ""},
	} {
		for _, way := range ways {
			t.Run(c.method+c.path+" "+way.name, func(t *testing.T) {
				want := c.web
				if way.name == "app" {
					want = c.app
				}
				response := way.send(t, p, c.method+" "+c.path+" HTTP/1.1\r\nHost: x\r\n\r\n")
				if want == 0 {
					if response != nil {
						t.Errorf("a cut answer looks whole: %q", response)
					}
					return
				}
				if response == nil {
					t.Fatal("no answer")
				}
				resp, body := parseResponse(t, response, c.method)
				if resp.StatusCode != want {
					t.Errorf("status %d, want %d: %.300q", resp.StatusCode, want, response)
				}
				if !bytes.Contains(response, []byte(c.contains)) && !strings.Contains(body, c.contains) { // it may come in chunks
					t.Errorf("%q is missing in %.300q", c.contains, response)
				}
				if c.not != "" && bytes.Contains(response, []byte(c.not)) {
					t.Errorf("%q is in %.300q", c.not, response)
				}
				if way.name == "app" && c.path == "/long" && c.method == "GET" && !bytes.Contains(response, []byte("1MiB")) {
					t.Errorf("the limit isn't told: %q", response)
				}
			})
		}
	}
}

// TestLimits: max_body, rate_limit and their responses.
func TestLimits(t *testing.T) {
	rec := newRecorder(t, nil)
	p := bothListeners(t, rec.URL, `
  - {match: {paths: [/small]}, max_body: 10B, backend: api}
  - {match: {paths: [/rare]}, rate_limit: {rate: 0.001, burst: 2}, backend: api}
  - {match: {paths: [/session]}, rate_limit: {rate: 0.001, by: session}, backend: api}
`)
	const h = " HTTP/1.1\r\nHost: x\r\n"
	for _, way := range ways {
		for request, want := range map[string]int{
			"POST /small" + h + "Content-Length: 10\r\n\r\n0123456789":                            200,
			"POST /small" + h + "Content-Length: 11\r\n\r\n0123456789a":                           413,
			"POST /small" + h + "Transfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n0\r\n\r\n":        200,
			"POST /small" + h + "Transfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n": 413,
		} {
			response := way.send(t, p, request)
			if resp, _ := parseResponse(t, response, "POST"); resp.StatusCode != want {
				t.Errorf("%s %q: %q", way.name, request, response)
			}
		}
	}
	for i, want := range []int{200, 200, 429} { // both listeners share the limit
		response := ways[i%2].send(t, p, "GET /rare"+h+"\r\n")
		resp, _ := parseResponse(t, response, "GET")
		if resp.StatusCode != want || (want == 429) != (resp.Header.Get("Retry-After") != "") {
			t.Errorf("request %d: %q", i, response)
		}
	}
	for range 2 { // each client of the test has a session of its own
		if response := ways[0].send(t, p, "GET /session"+h+"\r\n"); !bytes.HasPrefix(response, []byte("HTTP/1.1 200 ")) {
			t.Errorf("a new session: %q", response)
		}
	}
}

// TestRawRequests makes HTTP requests of raw messages.
func TestRawRequests(t *testing.T) {
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/raw":
			io.WriteString(w, "answer")
		case "/raw/none":
			w.WriteHeader(204)
		default:
			w.WriteHeader(404)
		}
	})
	for _, c := range []struct {
		route, want string
		line        string
		closes      bool
	}{
		{"{raw: {method: PUT, path: '/raw?a=b', content_type: text/x}, backend: api}", "answer", "PUT /raw?a=b", false},
		{"{raw: {path: /raw/none}, backend: api}", "", "POST /raw/none", false},
		{"{match: {payload: raw}, backend: api}", "", "POST /", true},
		{"{match: {payload: raw}, respond: {body: fixed}}", "fixed", "", false},
		{"{backend: api}", "", "", true}, // a raw message goes only to a route that names them
	} {
		p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - `+c.route+"\n"))
		got, err := client(t, p, "app").Send(t.Context(), []byte("\x00raw"))
		if (err != nil) != c.closes || string(got) != c.want {
			t.Errorf("%s: %q, %v", c.route, got, err)
		}
		saw := rec.take()
		if c.line == "" && len(saw) > 0 || c.line != "" && (len(saw) != 1 || saw[0].line != c.line || saw[0].body != "\x00raw") {
			t.Errorf("%s: the upstream saw %q", c.route, saw)
		}
	}
}

// TestStreaming: an event reaches the client before the next is there, and an
// upload reaches the upstream before it is whole.
func TestStreaming(t *testing.T) {
	next := make(chan struct{})
	rec := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/echo" {
			http.NewResponseController(w).EnableFullDuplex()
			w.WriteHeader(200)
			http.NewResponseController(w).Flush()
			buf := make([]byte, 100)
			for {
				n, err := r.Body.Read(buf)
				w.Write(buf[:n])
				http.NewResponseController(w).Flush()
				if err != nil {
					return
				}
			}
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for range 2 {
			io.WriteString(w, "data: x\n\n")
			w.(http.Flusher).Flush()
			<-next
		}
	}))
	defer rec.Close()
	p := bothListeners(t, rec.URL, "")
	url := "http://" + p.Addr("web").String()
	resp, err := http.Get(url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	br := bufio.NewReader(resp.Body)
	for range 2 {
		if line, err := br.ReadString('\n'); err != nil || line != "data: x\n" {
			t.Fatalf("%q, %v", line, err)
		}
		br.ReadString('\n')
		next <- struct{}{}
	}
	if _, err := br.ReadString('\n'); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}

	in, out := io.Pipe()
	r, _ := http.NewRequest("POST", url+"/echo", in)
	go io.WriteString(out, "line 0\n") // the upstream isn't asked before the body has begun
	echo, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Body.Close()
	br = bufio.NewReader(echo.Body)
	for i := range 3 {
		line := fmt.Sprintf("line %d\n", i)
		if i > 0 {
			io.WriteString(out, line)
		}
		if got, err := br.ReadString('\n'); err != nil || got != line {
			t.Fatalf("%q, %v", got, err)
		}
	}
	out.Close()
	if rest, err := io.ReadAll(br); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
}

// TestUpgrade changes to another protocol, which ends with the daemon.
func TestUpgrade(t *testing.T) {
	rec := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "echo" || r.Header.Get("Connection") != "Upgrade" {
			http.Error(w, "no upgrade", 400)
			return
		}
		conn, rw, _ := http.NewResponseController(w).Hijack()
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Y: z\r\n\r\nhello ")
		io.Copy(conn, rw)
	}))
	defer rec.Close()
	p := bothListeners(t, rec.URL, "")
	dial := func() (net.Conn, *bufio.Reader) {
		conn, err := net.Dial("tcp", p.Addr("web").String())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\nfirst")
		br := bufio.NewReader(conn)
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != 101 || resp.Header.Get("X-Y") != "z" || resp.Header.Get("Upgrade") != "echo" {
			t.Fatalf("%+v, %v", resp, err)
		}
		return conn, br
	}
	conn, br := dial()
	defer conn.Close()
	got := make([]byte, len("hello first"))
	if _, err := io.ReadFull(br, got); err != nil || string(got) != "hello first" {
		t.Fatalf("%q, %v", got, err)
	}
	io.WriteString(conn, "second")
	conn.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(br); err != nil || string(rest) != "second" {
		t.Errorf("%q, %v", rest, err)
	}
	// By Megaki there is nothing to change to.
	if response := ways[0].send(t, p, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"); !bytes.HasPrefix(response, []byte("HTTP/1.1 400 ")) {
		t.Errorf("by Megaki: %q", response)
	}

	open, br := dial()
	defer open.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	start := time.Now()
	if err := p.Shutdown(ctx); err != nil || time.Since(start) > 10*time.Second {
		t.Errorf("Shutdown: %v after %v", err, time.Since(start))
	}
	if _, err := io.ReadAll(br); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the tunnel after the end: %v", err)
	}
}
