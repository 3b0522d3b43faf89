package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lockedBuffer is a buffer for the log of a command that still runs.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// local is a running sazukari forward.
type local struct {
	url  string
	log  lockedBuffer
	stop func() error // ends it, and returns its error
}

// startForward runs sazukari forward until the test ends, as the site example.org
// unless f has another.
func startForward(t *testing.T, s *site, f forward) *local {
	t.Helper()
	f.server = serverFlags{address: s.address, key: s.file("server.key.pub"), maxMessage: 10000}
	f.listen = "127.0.0.1:0"
	if f.host == "" {
		f.host = "example.org"
	}
	if f.connections == 0 {
		f.connections = 4
	}
	if f.timeout == 0 {
		f.timeout = time.Minute
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := new(local)
	ended := make(chan error, 1)
	go func() { ended <- f.run(ctx, &l.log) }()
	l.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := l.stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(l.log.String())
		}
	})
	for deadline := time.Now().Add(20 * time.Second); l.url == ""; time.Sleep(time.Millisecond) {
		if _, rest, ok := strings.Cut(l.log.String(), "http://"); ok {
			address, _, _ := strings.Cut(rest, "/")
			l.url = "http://" + address
		}
		if time.Now().After(deadline) {
			t.Fatalf("it doesn't start: %s", &l.log)
		}
	}
	return l
}

// fetch sends a request, and returns the response and its body.
func fetch(t *testing.T, c *http.Client, method, url, body string, change func(r *http.Request)) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	response, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(got)
}

// TestForward is a login as a browser does it: the site sees its own host and
// origin, and the browser is led, and its cookies go, to the local host.
func TestForward(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/login":
			w.Header().Set("Set-Cookie", "user=ann; Domain=example.org; Path=/; Secure; SameSite=None")
			w.Header().Set("Strict-Transport-Security", "max-age=1")
			w.Header().Set("Location", "https://example.org/home?a=b%2Fc")
			w.WriteHeader(http.StatusFound)
		default:
			fmt.Fprintf(w, "%s %s host=%s origin=%s referer=%s cookie=%s forwarded=%s", r.Method, r.RequestURI, r.Host,
				r.Header.Get("Origin"), r.Header.Get("Referer"), r.Header.Get("Cookie"), r.Header.Get("X-Forwarded-For"))
		}
	})
	l := startForward(t, s, forward{verbose: true})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar}
	response, body := fetch(t, c, "POST", l.url+"/login", "name=ann", func(r *http.Request) {
		r.Header.Set("Referer", l.url+"/form")
		r.Header.Set("X-Forwarded-For", "192.0.2.1")
	})
	want := "GET /home?a=b%2Fc host=example.org origin= referer=https://example.org/form cookie=user=ann forwarded="
	if response.StatusCode != 200 || body != want || response.Request.URL.Host != strings.TrimPrefix(l.url, "http://") {
		t.Errorf("%d %q, want %q", response.StatusCode, body, want)
	}
	if response.Header.Get("Strict-Transport-Security") != "" {
		t.Errorf("%v", response.Header)
	}
	for _, target := range []string{"/?a;b=%zz&c", "/a%2Fb/%C3%BC?", "/a/../b"} {
		if _, body := fetch(t, c, "PUT", l.url, "", func(r *http.Request) { r.URL.Opaque = target }); !strings.HasPrefix(body, "PUT "+target+" host=") {
			t.Errorf("%s: %s", target, body)
		}
	}
	for _, test := range []struct{ origin, want string }{
		{l.url, "https://example.org"}, {"https://evil.example", "https://evil.example"}, {l.url + ".evil.example", l.url + ".evil.example"}, {"null", "null"},
	} {
		_, body := fetch(t, c, "PUT", l.url+"/", "", func(r *http.Request) { r.Header.Set("Origin", test.origin) })
		if !strings.Contains(body, " origin="+test.want+" ") {
			t.Errorf("origin %s: %s", test.origin, body)
		}
	}
	for _, want := range []string{"is the site example.org at", "connected to " + s.address + ": a new session; its token is ", "POST /login 302, 0 bytes"} {
		if !strings.Contains(l.log.String(), want) {
			t.Errorf("the log has no %q", want)
		}
	}
}

// TestForwardRefusesForeignHosts: a name that someone else points to this
// machine is not a way to the site.
func TestForwardRefusesForeignHosts(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "the site") })
	l := startForward(t, s, forward{})
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(l.url, "http://"))
	for host, want := range map[string]int{
		"127.0.0.1:" + port: 200, "localhost:" + port: 200, "LOCALHOST:" + port: 200, "[::ffff:127.0.0.1]:" + port: 200,
		"evil.example:" + port: 403, "evil.example": 403, "example.org": 403, "127.0.0.1": 403, "127.0.0.1:1": 403, "127.0.0.2:" + port: 403,
		"localhost.evil.example:" + port: 403, "127.0.0.1.evil.example:" + port: 403, "[::1]:" + port: 403, ":" + port: 403,
	} {
		response, body := fetch(t, http.DefaultClient, "GET", l.url+"/", "", func(r *http.Request) { r.Host = host })
		if response.StatusCode != want || (body == "the site") != (want == 200) {
			t.Errorf("%s: %d %s", host, response.StatusCode, body)
		}
	}
}

// TestForwardErrors are what a program sees that asks for what a message can't
// carry, or of a server that fails.
func TestForwardErrors(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			w.Write(make([]byte, 20000))
		}
	})
	l := startForward(t, s, forward{})
	check := func(method, path, body string, change func(*http.Request), status int, want string) {
		t.Helper()
		response, got := fetch(t, http.DefaultClient, method, l.url+path, body, change)
		if response.StatusCode != status || !strings.Contains(got, want) {
			t.Errorf("%s: %d %q, want %d %q", path, response.StatusCode, got, status, want)
		}
	}
	check("GET", "/", "", nil, 200, "")
	check("POST", "/", strings.Repeat("a", 10001), nil, 413, "message of 10001 bytes is over the limit of 10000; see --max-message")
	check("GET", "/long", "", nil, 502, "is over the limit of 10000; see --max-message")
	check("GET", "/", "", func(r *http.Request) {
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "websocket")
	}, 501, `an upgrade to "websocket" can't be sent over Megaki`)

	raw(t, func([]byte) ([]byte, error) { return []byte("hello"), nil })
	check("GET", "/", "", nil, 502, `it begins with "hello"`)
	raw(t, func([]byte) ([]byte, error) { return nil, errGone })
	check("GET", "/", "", nil, 502, "closed the connection without a whole response")
	release := make(chan bool)
	s = raw(t, func([]byte) ([]byte, error) { <-release; return nil, errGone })
	defer close(release)
	l = startForward(t, s, forward{timeout: 50 * time.Millisecond})
	check("GET", "/", "", nil, 504, "the server took longer than --timeout")
}

// TestForwardEnds: a request in flight gets its response, and new ones are
// refused. The next start resumes the session of the file.
func TestForwardEnds(t *testing.T) {
	entered, leave := make(chan bool), make(chan bool)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			entered <- true
			<-leave
		}
		io.WriteString(w, "whole")
	})
	session := t.TempDir() + "/session"
	l := startForward(t, s, forward{sessionFile: session})
	body := make(chan string)
	go func() {
		response, err := http.Get(l.url + "/slow")
		if err != nil {
			body <- err.Error()
			return
		}
		defer response.Body.Close()
		got, _ := io.ReadAll(response.Body)
		body <- string(got)
	}()
	<-entered
	ended := make(chan error)
	go func() { ended <- l.stop() }()
	for {
		conn, err := net.Dial("tcp", strings.TrimPrefix(l.url, "http://"))
		if err != nil {
			break
		}
		conn.Close()
	}
	leave <- true
	if got := <-body; got != "whole" {
		t.Errorf("%q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(session); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	l = startForward(t, s, forward{sessionFile: session, verbose: true})
	fetch(t, http.DefaultClient, "GET", l.url+"/", "", nil)
	if !strings.Contains(l.log.String(), "the session is resumed") {
		t.Errorf("log: %s", &l.log)
	}
}

func TestNames(t *testing.T) {
	n := names{site: "example.org", local: "127.0.0.1:8080"}
	for in, want := range map[string]string{
		"https://example.org/a?b#c":     "http://127.0.0.1:8080/a?b#c",
		"http://EXAMPLE.org:80":         "http://127.0.0.1:8080",
		"HTTPS://example.org:443?a":     "http://127.0.0.1:8080?a",
		"//example.org/a":               "http://127.0.0.1:8080/a",
		"/a//example.org/":              "/a//example.org/",
		"a?b=https://example.org/":      "a?b=https://example.org/",
		"https://example.org:8443/":     "https://example.org:8443/",
		"https://example.org.evil/":     "https://example.org.evil/",
		"https://www.example.org/":      "https://www.example.org/",
		"https://a@example.org/":        "https://a@example.org/",
		"ftp://example.org/":            "ftp://example.org/",
		"":                              "",
		"https://evil/?//example.org/a": "https://evil/?//example.org/a",
	} {
		if got := n.url(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"a=b":                    "a=b",
		"a=b; Path=/c; HttpOnly": "a=b; Path=/c; HttpOnly",
		"a=b; domain=.example.org; path=/; SECURE":     "a=b; path=/",
		"a=b; Domain=org; Secure; SameSite=Lax":        "a=b; SameSite=Lax",
		"a=b; Domain=evil.example":                     "a=b; Domain=evil.example",
		"a=b; Domain=ample.org":                        "a=b; Domain=ample.org",
		"a=b; Secure; SameSite=none; Partitioned; X=1": "a=b; X=1",
		"__Host-a=b; Path=/; Secure; SameSite=None":    "__Host-a=b; Path=/; Secure; SameSite=None",
		"__secure-a=b; Secure; Domain=example.org":     "__secure-a=b; Secure",
		"a=secure; Max-Age=0":                          "a=secure; Max-Age=0",
		"":                                             "",
	} {
		if got := n.cookie(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// pipes is a listener that always has a connection.
type pipes struct{ accepted int }

func (p *pipes) Accept() (net.Conn, error) {
	p.accepted++
	c, _ := net.Pipe()
	return c, nil
}
func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return nil }

// TestLimitListener: a second connection is accepted when the first one is
// closed, and a listener that waits can be closed.
func TestLimitListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := new(pipes)
		l := limitListener(inner, 1)
		first, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() {
			for {
				if _, err := l.Accept(); err != nil {
					ended <- err
					return
				}
			}
		}()
		synctest.Wait()
		if inner.accepted != 1 {
			t.Errorf("%d connections at once", inner.accepted)
		}
		first.Close()
		first.Close() // gives back one slot, not two
		synctest.Wait()
		if inner.accepted != 2 {
			t.Errorf("%d connections were accepted, want 2", inner.accepted)
		}
		l.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}
