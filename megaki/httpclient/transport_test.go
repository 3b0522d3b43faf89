package httpclient

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mkd/megaki"
)

// keys are the key of the servers, and that of the clients, which take a while
// to make.
var keys = sync.OnceValue(func() (keys [2]*rsa.PrivateKey) {
	for i := range keys {
		var err error
		if keys[i], err = megaki.GenerateKey(); err != nil {
			panic(err)
		}
	}
	return keys
})

// serve starts a server at an address, and stops it at the end of the test.
func serve(t *testing.T, address string, srv *megaki.Server) string {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	srv.Keys = []crypto.Decrypter{keys()[0]}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return l.Addr().String()
}

// site makes a server's handler of a handler of net/http.
func site(h http.HandlerFunc) megaki.Handler {
	return megaki.HandlerFunc(func(w *megaki.ResponseWriter, m *megaki.Request) error {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(m.Body)))
		if err != nil {
			return err
		}
		r.Header.Set("Session", m.Session.String())
		rec := httptest.NewRecorder()
		h(rec, r.WithContext(m.Context()))
		fmt.Fprintf(w, "HTTP/1.1 %d %s\r\n", rec.Code, http.StatusText(rec.Code))
		if rec.Code != http.StatusNoContent {
			rec.Header().Set("Content-Length", fmt.Sprint(rec.Body.Len()))
		}
		rec.Header().Write(w)
		w.WriteString("\r\n")
		if r.Method != http.MethodHead && rec.Code != http.StatusNotModified {
			_, err = w.Write(rec.Body.Bytes())
		}
		return err
	})
}

func transport(t *testing.T, address string) *Transport {
	tr := &Transport{Address: address, Config: megaki.Config{ServerKey: &keys()[0].PublicKey, ClientKey: keys()[1]}}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func newRequest(t *testing.T, method, target string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// get returns the body of a response.
func get(t *testing.T, tr *Transport, target string) (string, error) {
	t.Helper()
	return do(t, tr, newRequest(t, "GET", target, nil))
}

func do(t *testing.T, tr *Transport, r *http.Request) (string, error) {
	t.Helper()
	response, err := (&http.Client{Transport: tr}).Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return string(body), nil
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}

// TestClient uses what http.Client does with a Transport: redirects, cookies,
// bodies.
func TestClient(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST example.org/login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "user", Value: r.FormValue("name"), Path: "/", Secure: true})
		http.Redirect(w, r, "/home?a=b%2Fc", http.StatusSeeOther)
	})
	mux.HandleFunc("GET example.org/home", func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("user")
		fmt.Fprint(w, c, err, r.RequestURI, r.Header.Get("User-Agent"))
	})
	mux.HandleFunc("/empty", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/same", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %d %v %s", r.Method, r.ContentLength, r.Header["Connection"], body)
	})
	tr := transport(t, serve(t, "127.0.0.1:0", &megaki.Server{Handler: site(mux.ServeHTTP)}))
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: tr, Jar: jar}
	read := func(response *http.Response, err error) (int, string, int64) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body), response.ContentLength
	}
	check := func(target string, code int, body string, length int64, wantCode int, want string, wantLength int64) {
		t.Helper()
		if code != wantCode || body != want || length != wantLength {
			t.Errorf("%s: %d %q, length %d", target, code, body, length)
		}
	}
	code, body, n := read(c.PostForm("https://example.org/login", url.Values{"name": {"ann"}}))
	want := "user=ann <nil>/home?a=b%2FcGo-http-client/1.1"
	check("/login", code, body, n, 200, want, int64(len(want)))
	code, body, n = read(c.Get("http://x/empty"))
	check("/empty", code, body, n, 204, "", 0)
	code, body, n = read(c.Get("http://x/same"))
	check("/same", code, body, n, 304, "", 0)
	code, body, n = read(c.Head("http://x/echo"))
	check("HEAD", code, body, n, 200, "", int64(len("HEAD 0 [] ")))
	code, body, n = read(c.Post("http://x/echo", "text/plain", io.MultiReader(strings.NewReader("of unknown "), strings.NewReader("length"))))
	check("POST", code, body, n, 200, "POST 17 [] of unknown length", 28)
	r := newRequest(t, "PUT", "http://x/echo", nil)
	r.Header.Set("Connection", "keep-alive")
	code, body, n = read(c.Do(r))
	check("PUT", code, body, n, 200, "PUT 0 [] ", 9)
}

// TestNothingIsSentTwice: a request that the server has got is not repeated, be
// it as harmless as a GET.
func TestNothingIsSentTwice(t *testing.T) {
	var handled atomic.Int32
	address := serve(t, "127.0.0.1:0", &megaki.Server{Handler: megaki.HandlerFunc(func(w *megaki.ResponseWriter, m *megaki.Request) error {
		if handled.Add(1) > 1 {
			return errors.New("no response")
		}
		_, err := w.WriteString("HTTP/1.1 204 No Content\r\n\r\n")
		return err
	})})
	tr := transport(t, address)
	if _, err := get(t, tr, "http://x/"); err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, tr, "http://x/"); err == nil || !strings.Contains(err.Error(), "without a whole response") {
		t.Errorf("error %v", err)
	}
	if handled.Load() != 2 {
		t.Errorf("%d requests were handled, want 2", handled.Load())
	}
}

func TestTooLong(t *testing.T) {
	tr := transport(t, serve(t, "127.0.0.1:0", &megaki.Server{Handler: site(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
		if r.URL.Path == "/much" {
			w.Write(make([]byte, 1000))
		}
	})}))
	tr.Config.MaxMessage = 1000
	for name, r := range map[string]*http.Request{
		"known":      newRequest(t, "POST", "http://x/", strings.NewReader(strings.Repeat("a", 1001))),
		"unknown":    newRequest(t, "POST", "http://x/", io.MultiReader(strings.NewReader(strings.Repeat("a", 1001)))),
		"endless":    newRequest(t, "POST", "http://x/", endless{}),
		"with head":  newRequest(t, "POST", "http://x/", strings.NewReader(strings.Repeat("a", 950))),
		"a response": newRequest(t, "GET", "http://x/much", nil),
	} {
		_, err := do(t, tr, r)
		if long := new(megaki.TooLongError); !errors.As(err, &long) || long.Limit != 1000 {
			t.Errorf("%s: %v", name, err)
		}
		if wrong := new(RequestError); errors.As(err, &wrong) != (name != "a response") {
			t.Errorf("%s: %v", name, err)
		}
	}
	want := strings.Repeat("a", 800)
	if got, err := do(t, tr, newRequest(t, "POST", "http://x/", strings.NewReader(want))); got != want || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestRefusedRequests are requests that are not sent, and whose body is closed
// all the same.
func TestRefusedRequests(t *testing.T) {
	tr := transport(t, "127.0.0.1:1") // which nothing listens to
	for _, test := range []struct {
		change      func(r *http.Request)
		want        string
		unsupported bool
	}{
		{func(r *http.Request) { r.Method = "CONNECT" }, "CONNECT can't be sent over Megaki", true},
		{func(r *http.Request) { r.Header.Set("Upgrade", "websocket") }, `an upgrade to "websocket" can't`, true},
		{func(r *http.Request) { r.Header["upgrade"] = []string{"h2c"} }, `an upgrade to "h2c" can't`, true},
		{func(r *http.Request) { r.Trailer = http.Header{"A": nil} }, "trailers can't", true},
		{func(r *http.Request) { r.Method = "A B" }, `the method is "A B"`, false},
		{func(r *http.Request) { r.URL.Scheme = "ftp" }, `the scheme is "ftp"`, false},
		{func(r *http.Request) { r.URL.Host, r.Host = "", "" }, "no host", false},
		{func(r *http.Request) { r.URL.Path = "a" }, `its path is "a"`, false},
		{func(r *http.Request) { r.URL.Opaque = "/a HTTP/1.1" }, `its path is "/a HTTP/1.1"`, false},
		{func(r *http.Request) { r.URL = nil }, "no URL", false},
		{func(r *http.Request) { r.Header["A b"] = []string{"c"} }, `name of a field is "A b"`, false},
		{func(r *http.Request) { r.Header["A"] = []string{"b\r\nC: d"} }, "field A has a control character", false},
		{func(r *http.Request) { r.ContentLength = 7 }, "its body has 4 bytes, and its ContentLength is 7", false},
		{func(r *http.Request) {}, "connection refused", false},
	} {
		body := &closing{Reader: strings.NewReader("body")}
		r := newRequest(t, "POST", "http://x/", body)
		test.change(r)
		_, err := tr.RoundTrip(r)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %s", err, test.want)
		}
		if unsupported := new(UnsupportedError); errors.As(err, &unsupported) != test.unsupported {
			t.Errorf("%v: %T", err, err)
		}
		if body.closed != 1 {
			t.Errorf("%s: the body was closed %d times", test.want, body.closed)
		}
	}
}

type closing struct {
	io.Reader
	closed int
}

func (c *closing) Close() error { c.closed++; return nil }

// TestContextEndsARequest: while the body is read, and while the server works.
// The next request gets its own response.
func TestContextEndsARequest(t *testing.T) {
	entered, left := make(chan bool), make(chan bool)
	tr := transport(t, serve(t, "127.0.0.1:0", &megaki.Server{Handler: site(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			entered <- true
			<-r.Context().Done() // the client closes its connection
			left <- true
		}
		io.WriteString(w, r.URL.Path)
	})}))
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := tr.RoundTrip(newRequest(t, "GET", "http://x/slow", nil).WithContext(ctx))
		failed <- err
	}()
	<-entered
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	<-left
	if got, err := get(t, tr, "http://x/next"); got != "/next" || err != nil {
		t.Errorf("%q, %v", got, err)
	}

	go func() { <-entered; <-left }()
	c := &http.Client{Transport: tr, Timeout: 20 * time.Millisecond}
	_, err := c.Get("http://x/slow")
	if late := net.Error(nil); !errors.As(err, &late) || !late.Timeout() {
		t.Errorf("after the client's Timeout: %v", err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	body, writer := io.Pipe()
	go func() {
		_, err := tr.RoundTrip(newRequest(t, "POST", "http://x/", body).WithContext(ctx))
		failed <- err
	}()
	if _, err := writer.Write([]byte("begun")); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestResponsesThatAreNone: a server that speaks something else.
func TestResponsesThatAreNone(t *testing.T) {
	response := ""
	tr := transport(t, serve(t, "127.0.0.1:0", &megaki.Server{Handler: megaki.HandlerFunc(func(w *megaki.ResponseWriter, _ *megaki.Request) error {
		_, err := w.WriteString(response)
		return err
	})}))
	for _, response = range []string{"", "hello", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi"} {
		_, err := get(t, tr, "http://x/")
		if wrong := new(ResponseError); !errors.As(err, &wrong) {
			t.Errorf("%q: %v", response, err)
		}
	}
}
