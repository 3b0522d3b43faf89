package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"mkd/internal/testserver/testca"
)

// http3Client returns a client that speaks HTTP/3 with a listener, whatever the host of
// a request, and asks for that name in the handshake unless serverName is given.
func http3Client(t *testing.T, address, serverName string, cert *testca.Pair) *http.Client {
	t.Helper()
	c := &tls.Config{InsecureSkipVerify: true, ServerName: serverName}
	if cert != nil {
		c.Certificates = []tls.Certificate{cert.Certificate}
	}
	tr := &http3.Transport{TLSClientConfig: c, DisableCompression: true,
		Dial: func(ctx context.Context, _ string, c *tls.Config, q *quic.Config) (*quic.Conn, error) {
			return quic.DialAddr(ctx, address, c, q)
		}}
	t.Cleanup(func() { tr.Close() })
	return &http.Client{Transport: tr, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// fetch sends a request, and returns the status and the body.
func fetch(t *testing.T, c *http.Client, method, url string, body io.Reader) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%s %s: %v", method, url, err)
	}
	return resp, string(text)
}

// fetchBeside gets a URL on a goroutine of its own, which returns the body and the error.
func fetchBeside(c *http.Client, url string) <-chan string {
	done := make(chan string, 1)
	go func() {
		resp, err := c.Get(url)
		if err != nil {
			done <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		done <- fmt.Sprint(string(body), err)
	}()
	return done
}

// TestHTTP3 sends requests to an HTTP server over HTTP/3.
func TestHTTP3(t *testing.T) {
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Alt-Svc", `h3=":1"`)
		switch r.URL.Path {
		case "/big":
			w.Write(bytes.Repeat([]byte("x"), 3<<20))
		case "/broken":
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("part"))
		case "/none":
			w.WriteHeader(204)
		default:
			fmt.Fprintf(w, "%d", r.ContentLength)
		}
	})
	p, _ := start(t, load(t, `
listeners:
  tls: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: true}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - {match: {paths: [/admin/*]}, respond: {status: 403}}
  - {match: {paths: [/own]}, headers: {response: {set: {Alt-Svc: clear}}}, backend: api}
  - {backend: api, max_body: 4MiB}
`))
	address := p.Addr("tls").String()
	c := http3Client(t, address, "", nil)
	big := make([]byte, 2<<20)
	rand.New(rand.NewSource(1)).Read(big)
	for _, test := range []struct {
		method, path, body string
		status             int
		want               string // "": any
		length             string // of the body that the upstream saw
	}{
		{"GET", "/x?y", "", 200, "0", ""},
		{"HEAD", "/x", "", 200, "", ""},
		{"POST", "/x", "body", 200, "4", "4"},
		{"POST", "/x", string(big), 200, fmt.Sprint(len(big)), fmt.Sprint(len(big))},
		{"PUT", "/x", "", 200, "0", "0"},
		{"GET", "/big", "", 200, strings.Repeat("x", 3<<20), ""},
		{"GET", "/none", "", 204, "", ""},
		{"GET", "/a/../admin//x", "", 403, "", ""},
		{"POST", "/x", strings.Repeat("x", 5<<20), 413, "", ""},
	} {
		var body io.Reader
		if test.body != "" {
			body = strings.NewReader(test.body)
		}
		resp, got := fetch(t, c, test.method, "https://localhost"+test.path, body)
		name := test.method + " " + test.path
		if resp.ProtoMajor != 3 || resp.StatusCode != test.status || test.want != "" && got != test.want {
			t.Errorf("%s: %s, %d, %.100q", name, resp.Proto, resp.StatusCode, got)
		}
		saw := rec.take()
		if test.status >= 400 {
			if len(saw) > 0 && test.status != 413 {
				t.Errorf("%s: the upstream saw %d requests", name, len(saw))
			}
			continue
		}
		if len(saw) != 1 || !strings.Contains(saw[0].headers, "X-Forwarded-Proto: https\n") || !strings.Contains(saw[0].headers, "X-Forwarded-For: 127.0.0.1\n") ||
			saw[0].host != "localhost" || saw[0].body != test.body || saw[0].line != name {
			t.Errorf("%s: the upstream saw %d: %.300q", name, len(saw), fmt.Sprint(saw))
		}
	}

	// A body of unknown length, in pieces.
	in, out := io.Pipe()
	go func() {
		for range 10 {
			io.WriteString(out, strings.Repeat("y", 1000))
		}
		out.Close()
	}()
	if resp, _ := fetch(t, c, "POST", "https://localhost/x", in); resp.StatusCode != 200 {
		t.Errorf("a body of unknown length: %d", resp.StatusCode)
	}
	if saw := rec.take(); len(saw) != 1 || len(saw[0].body) != 10_000 {
		t.Errorf("the upstream saw %d", len(saw))
	}

	// A response that is cut off doesn't look whole.
	resp, err := c.Get("https://localhost/broken")
	if err == nil {
		var body []byte
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil {
			t.Errorf("a broken response: %q", body)
		}
	}

	// The other protocols announce it, in place of what the upstream has, unless the route
	// has a value of its own.
	_, port, _ := net.SplitHostPort(address)
	for _, h2 := range []bool{false, true} {
		tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}, ForceAttemptHTTP2: h2}
		for _, path := range []string{"/x", "/admin/", "/own"} {
			resp, _ := fetch(t, &http.Client{Transport: tr, Timeout: 20 * time.Second}, "GET", "https://"+address+path, nil)
			want := `h3=":` + port + `"; ma=86400`
			if path == "/own" {
				want = "clear"
			}
			if got := resp.Header["Alt-Svc"]; len(got) != 1 || got[0] != want {
				t.Errorf("%s%s: Alt-Svc %q, want %s", resp.Proto, path, got, want)
			}
		}
		tr.CloseIdleConnections()
	}
}

// TestHTTP3Streaming: parts of a response, and of a body, arrive as they are sent.
func TestHTTP3Streaming(t *testing.T) {
	next := make(chan struct{})
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		flush := http.NewResponseController(w)
		flush.EnableFullDuplex()
		if r.URL.Path == "/echo" {
			buf := make([]byte, 100)
			for {
				n, err := r.Body.Read(buf)
				w.Write(buf[:n])
				flush.Flush()
				if err != nil {
					return
				}
			}
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Trailer", "X-End")
		for range 2 {
			io.WriteString(w, "data: x\n")
			flush.Flush()
			<-next
		}
		w.Header().Set("X-End", "yes")
	}))
	defer u.Close()
	p, _ := start(t, load(t, `
listeners:
  tls: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: true}}
backends:
  api: {http: {upstreams: [{url: `+u.URL+`}]}}
routes:
  - backend: api
`))
	c := http3Client(t, p.Addr("tls").String(), "", nil)
	resp, err := c.Get("https://localhost/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	br := bufio.NewReader(resp.Body)
	for range 2 {
		if line, err := br.ReadString('\n'); err != nil || line != "data: x\n" {
			t.Fatalf("%q, %v", line, err)
		}
		next <- struct{}{}
	}
	if _, err := br.ReadString('\n'); err != io.EOF || resp.Trailer.Get("X-End") != "yes" {
		t.Errorf("after the end: %v, the trailer is %v", err, resp.Trailer)
	}

	echoLines(t, c, "https://localhost/echo")
}

// TestHTTP3Limits: the limits of the listener hold for HTTP/3.
func TestHTTP3Limits(t *testing.T) {
	p, _ := start(t, load(t, `
listeners:
  tls: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: true,
    max_header: 4KiB, max_fields: 20, header_timeout: 1s, max_connections_per_ip: 2, max_streams: 5}}
backends:
  files: {files: {root: DIR}}
routes:
  - {match: {paths: [/ok]}, respond: {body: ok}}
  - backend: files
`))
	address := p.Addr("tls").String()
	c := http3Client(t, address, "", nil)
	get := func(c *http.Client, header http.Header) (int, error) {
		r, _ := http.NewRequest("GET", "https://localhost/ok", nil)
		r.Header = header
		resp, err := c.Do(r)
		if err != nil {
			return 0, err
		}
		resp.Body.Close()
		return resp.StatusCode, nil
	}
	if status, err := get(c, http.Header{"X": {strings.Repeat("x", 5000)}}); status != 431 {
		t.Errorf("a long header: %d, %v", status, err)
	}
	if status, err := get(c, http.Header{"X": make([]string, 30)}); status != 431 {
		t.Errorf("many fields: %d, %v", status, err)
	}
	if status, err := get(c, nil); status != 200 {
		t.Errorf("then: %d, %v", status, err)
	}

	// A header that doesn't come.
	conn, err := quic.DialAddr(t.Context(), address, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"h3"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	str, err := conn.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	str.Write([]byte{1, 100}) // a HEADERS frame whose rest is missing
	str.SetReadDeadline(time.Now().Add(20 * time.Second))
	var reset *quic.StreamError
	if _, err := str.Read(make([]byte, 1)); !asError(err, &reset) || reset.ErrorCode != quic.StreamErrorCode(http3.ErrCodeRequestIncomplete) {
		t.Errorf("a header that doesn't come: %v", err)
	}

	// Both connections of the client are open.
	third := http3Client(t, address, "", nil)
	if status, err := get(third, nil); err == nil {
		t.Errorf("a third connection: %d", status)
	}
	tcp, err := net.Dial("tcp", address)
	if err == nil {
		defer tcp.Close()
		tcp.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := tcp.Read(make([]byte, 1)); err == nil {
			t.Error("a third connection, over TCP, is open")
		}
	}
	conn.CloseWithError(0, "")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		fourth := http3Client(t, address, "", nil)
		status, err := get(fourth, nil)
		if status == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after one was closed: %v", err)
		}
	}
}

// asError is errors.As for an error of a stream.
func asError(err error, target **quic.StreamError) bool {
	e, ok := err.(*quic.StreamError)
	*target = e
	return ok
}

// TestHTTP3NoEarlyData: a resumed session sends no request before the handshake is done.
func TestHTTP3NoEarlyData(t *testing.T) {
	p, _ := start(t, load(t, `
listeners:
  tls: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: true}}
backends: {files: {files: {root: DIR}}}
routes: [{respond: {body: ok}}, {backend: files}]
`))
	c := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"h3"}, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := quic.DialAddrEarly(t.Context(), p.Addr("tls").String(), c, nil)
		if err != nil {
			t.Fatal(err)
		}
		<-conn.HandshakeComplete()
		state := conn.ConnectionState()
		time.Sleep(50 * time.Millisecond) // for the ticket, which may come in the next round
		conn.CloseWithError(0, "")
		if state.Used0RTT {
			t.Fatal("0-RTT was taken")
		}
		if state.TLS.DidResume {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no session was resumed")
		}
	}
}

// TestHTTP3ClientAuth: the rules for certificates of clients hold over HTTP/3.
func TestHTTP3ClientAuth(t *testing.T) {
	rec := newRecorder(t, nil)
	servers, clients := testca.New(t, "servers", time.Hour), testca.New(t, "clients", time.Hour)
	cert := servers.Server(1, "open.example", "staff.example")
	pair := "cert: " + cert.Cert + ", key: " + cert.Key
	p, _ := start(t, load(t, `
listeners:
  tls: {https: {address: "127.0.0.1:0", hosts: [open.example], http3: true,
    tls: {`+pair+`, certificates: [{`+pair+`, hosts: [staff.example], client_auth: {ca: `+clients.File+`, mode: verify_if_given}}]}}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - {match: {paths: [/admin/*]}, client_certificate: required, backend: api}
  - backend: api
`))
	own := clients.Client(7, pkix.Name{CommonName: "me"})
	for _, c := range []struct {
		serverName, host, path string
		cert                   *testca.Pair
		status                 int
		field                  string
	}{
		{"open.example", "open.example", "/", nil, 200, ""},
		{"open.example", "staff.example", "/", nil, 421, ""},
		{"staff.example", "staff.example", "/", nil, 200, "X-Ssl-Client-Verify: NONE\n"},
		{"staff.example", "staff.example", "/admin", nil, 403, ""},
		{"staff.example", "staff.example", "/admin", &own, 200, "X-Ssl-Client-S-Dn: CN=me\n"},
		{"staff.example", "open.example", "/", &own, 421, ""},
	} {
		resp, _ := fetch(t, http3Client(t, p.Addr("tls").String(), c.serverName, c.cert), "GET", "https://"+c.host+c.path, nil)
		saw := rec.take()
		if resp.StatusCode != c.status || (len(saw) == 1) != (c.status == 200) || len(saw) == 1 && !strings.Contains(saw[0].headers, c.field) {
			t.Errorf("%s for %s%s: %d, %q", c.serverName, c.host, c.path, resp.StatusCode, saw)
		}
	}
	if _, err := http3Client(t, p.Addr("tls").String(), "other.example", nil).Get("https://other.example/"); err == nil {
		t.Error("a name without a certificate")
	}
}

// TestHTTP3Reload: HTTP/3 is turned on and off, and a connection outlives other changes.
func TestHTTP3Reload(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			entered <- struct{}{}
			<-release
		}
		io.WriteString(w, "ok")
	}))
	defer u.Close()
	config := func(http3 bool, body string) string {
		return fmt.Sprintf(`
listeners:
  tls: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: %v}}
backends:
  api: {http: {upstreams: [{url: %s}]}}
routes:
  - {match: {paths: [/version]}, respond: {body: "%s"}}
  - backend: api
`, http3, u.URL, body)
	}
	first := load(t, config(false, "1"))
	p, _ := start(t, first)
	reload := func(text string) {
		t.Helper()
		cfg := load(t, text)
		cfg.Storage = first.Storage
		if err := p.Reload(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	address := p.Addr("tls").String()
	before := http3Client(t, address, "", nil)
	before.Timeout = 300 * time.Millisecond
	if _, err := before.Get("https://localhost/version"); err == nil {
		t.Error("there is HTTP/3 without being asked for")
	}
	reload(config(true, "2"))
	c := http3Client(t, address, "", nil)
	if _, body := fetch(t, c, "GET", "https://localhost/version", nil); body != "2" {
		t.Errorf("turned on: %q", body)
	}
	reload(config(true, "3"))
	if _, body := fetch(t, c, "GET", "https://localhost/version", nil); body != "3" {
		t.Errorf("changed: %q", body)
	}

	// A request in flight ends well when it is turned off.
	done := fetchBeside(c, "https://localhost/slow")
	<-entered
	reload(config(false, "4"))
	close(release)
	if got := <-done; got != "ok<nil>" {
		t.Errorf("in flight: %s", got)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}}
	defer tr.CloseIdleConnections()
	resp, body := fetch(t, &http.Client{Transport: tr, Timeout: 20 * time.Second}, "GET", "https://"+address+"/version", nil)
	if body != "4" || resp.Header["Alt-Svc"] != nil {
		t.Errorf("turned off: %q, Alt-Svc %q", body, resp.Header["Alt-Svc"])
	}
	reload(config(true, "5"))
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		again := http3Client(t, address, "", nil)
		again.Timeout = time.Second // of a try, while the old socket drains
		resp, err := again.Get("https://localhost/version")
		if err == nil {
			resp.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("turned on again: %v", err)
		}
	}
}

// TestHTTP3Shutdown: a request in flight ends well when the daemon stops.
func TestHTTP3Shutdown(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			entered <- struct{}{}
			<-release
		}
		io.WriteString(w, "ok")
	}))
	defer u.Close()
	cfg := load(t, `
listeners:
  tls: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: true}}
backends:
  api: {http: {upstreams: [{url: `+u.URL+`}]}}
routes:
  - backend: api
`)
	p, _ := start(t, cfg)
	address := p.Addr("tls").String()
	c := http3Client(t, address, "", nil)
	done := fetchBeside(c, "https://localhost/slow")
	<-entered
	stopped := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		stopped <- p.Shutdown(ctx)
	}()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			break // it accepts no more
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("it goes on to accept")
		}
	}
	close(release)
	if got := <-done; got != "ok<nil>" {
		t.Errorf("in flight: %s", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatalf("the port isn't free: %v", err)
	}
	conn.Close()
}

// TestHTTP3Handover: the next process opens the UDP port when the one before has no
// connection of HTTP/3 left, and that one serves its requests to their end.
func TestHTTP3Handover(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			entered <- struct{}{}
			<-release
		}
		io.WriteString(w, "ok")
	}))
	defer u.Close()
	text := func(body string) string {
		return `
listeners:
  tls: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: true}}
backends:
  api: {http: {upstreams: [{url: ` + u.URL + `}]}}
routes:
  - {match: {paths: [/process]}, respond: {body: "` + body + `"}}
  - backend: api
`
	}
	first, _ := start(t, load(t, text("first")))
	address := first.Addr("tls").String()
	sockets, err := first.Sockets()
	if err != nil {
		t.Fatal(err)
	}
	second, log := startWith(t, load(t, text("second")), sockets)
	awaitLog(t, log, "HTTP/3 waits for its port")

	c := http3Client(t, address, "", nil)
	if _, body := fetch(t, c, "GET", "https://localhost/process", nil); body != "first" {
		t.Errorf("before: %q", body)
	}
	done := fetchBeside(c, "https://localhost/slow")
	<-entered
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		first.Drain()
	}()
	close(release)
	if got := <-done; got != "ok<nil>" {
		t.Errorf("in flight: %s", got)
	}
	<-drained
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		again := http3Client(t, second.Addr("tls").String(), "", nil)
		again.Timeout = time.Second
		resp, err := again.Get("https://localhost/process")
		if err == nil {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(body) != "second" {
				t.Errorf("afterwards: %q", body)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("afterwards: %v", err)
		}
	}
}

// TestHTTP3Slow: a body that stands still gets 408, and a client that doesn't take a
// response is cut off.
func TestHTTP3Slow(t *testing.T) {
	t.Parallel() // it waits nearly all of its time
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		for range 64 {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	})
	p, log := start(t, load(t, `
listeners:
  tls: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: true, body_timeout: 1s, write_timeout: 1s}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - backend: api
`))
	c := http3Client(t, p.Addr("tls").String(), "", nil)
	in, out := io.Pipe()
	defer out.Close()
	go io.WriteString(out, "some of it")
	if resp, _ := fetch(t, c, "POST", "https://localhost/upload", in); resp.StatusCode != 408 {
		t.Errorf("a body that stands still: %d", resp.StatusCode)
	}
	resp, err := c.Get("https://localhost/download")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	awaitLog(t, log, `"path":"/download"`) // the request has ended
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("a response that wasn't taken looks whole")
	}
}

// TestHTTP3UnreadStreams: the streams of QPACK, which nobody uses, hold no memory of what
// comes in them: it counts for nothing.
func TestHTTP3UnreadStreams(t *testing.T) {
	p, _ := start(t, load(t, `
listeners:
  tls: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: true}}
routes:
  - respond: {body: hello}
`))
	conn := dialQUIC(t, p)
	defer conn.CloseWithError(0, "")
	for _, kind := range []byte{2, 3} { // RFC 9204, section 4.2
		str, err := conn.OpenUniStream()
		if err != nil {
			t.Fatal(err)
		}
		str.SetWriteDeadline(time.Now().Add(20 * time.Second))
		str.Write([]byte{kind})
		if n, err := str.Write(make([]byte, 1<<20)); err != nil {
			t.Errorf("stream of type %d: %v after %d bytes, which wait in memory", kind, err, n)
		}
	}
}
