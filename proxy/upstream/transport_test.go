package upstream

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"mkd/internal/testserver/fakeserver"
	"mkd/proxy/roundtrip"
)

// TestRequests checks what is sent, byte by byte.
func TestRequests(t *testing.T) {
	fakeserver.NoLeaks(t)
	large := strings.Repeat("x", smallBody+1)
	for _, c := range []struct {
		name, method, body string
		edit               func(r *http.Request)
		want               string
	}{
		{"GET", "GET", "", nil, "GET /path?query HTTP/1.1\r\nHost: example.org\r\n\r\n"},
		{"no method", "", "", func(r *http.Request) { r.Method = "" }, "GET /path?query HTTP/1.1\r\nHost: example.org\r\n\r\n"},
		{"Host", "GET", "", func(r *http.Request) { r.Host = "a.example:81" }, "GET /path?query HTTP/1.1\r\nHost: a.example:81\r\n\r\n"},
		{"host of the URL", "GET", "", func(r *http.Request) { r.Host = "" }, "GET /path?query HTTP/1.1\r\nHost: example.org\r\n\r\n"},
		{"target as it is", "GET", "", func(r *http.Request) {
			r.URL.Path, r.URL.RawPath = "/a b/c", "/a%20b%2Fc"
			r.URL.RawPath = "/a%20b/%63"
		},
			"GET /a%20b/%63?query HTTP/1.1\r\nHost: example.org\r\n\r\n"},
		{"star", "OPTIONS", "", func(r *http.Request) { r.URL.Path, r.URL.RawQuery = "*", "" }, "OPTIONS * HTTP/1.1\r\nHost: example.org\r\n\r\n"},
		{"fields", "GET", "", func(r *http.Request) {
			r.Header = http.Header{"B": {"2", "3"}, "A": {""}, "Cookie": {"x=\xff"}, "X-Y": {"a\tb"}}
		}, "GET /path?query HTTP/1.1\r\nHost: example.org\r\nA: \r\nB: 2\r\nB: 3\r\nCookie: x=\xff\r\nX-Y: a\tb\r\n\r\n"},
		{"fields of the connection", "GET", "", func(r *http.Request) {
			for _, name := range []string{"Connection", "Content-Length", "Expect", "Keep-Alive", "Proxy-Connection", "TE", "te", "Trailer", "transfer-encoding", "Upgrade", "Host"} {
				r.Header[name] = []string{"7"}
			}
		}, "GET /path?query HTTP/1.1\r\nHost: example.org\r\n\r\n"},
		{"POST without a body", "POST", "", nil, "POST /path?query HTTP/1.1\r\nHost: example.org\r\nContent-Length: 0\r\n\r\n"},
		{"PUT with none", "PUT", "", func(r *http.Request) { r.Body = http.NoBody }, "PUT /path?query HTTP/1.1\r\nHost: example.org\r\nContent-Length: 0\r\n\r\n"},
		{"DELETE without a body", "DELETE", "", nil, "DELETE /path?query HTTP/1.1\r\nHost: example.org\r\n\r\n"},
		{"POST", "POST", "body", nil, "POST /path?query HTTP/1.1\r\nHost: example.org\r\nContent-Length: 4\r\n\r\nbody"},
		{"GET with a body", "GET", "body", nil, "GET /path?query HTTP/1.1\r\nHost: example.org\r\nContent-Length: 4\r\n\r\nbody"},
		{"forged framing", "POST", "body", func(r *http.Request) {
			r.Header["Content-Length"], r.Header["Transfer-Encoding"] = []string{"0"}, []string{"chunked"}
		}, "POST /path?query HTTP/1.1\r\nHost: example.org\r\nContent-Length: 4\r\n\r\nbody"},
		{"chunked", "POST", "body", func(r *http.Request) { r.ContentLength = -1 },
			"POST /path?query HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"},
		{"length 0 with a body", "POST", "body", func(r *http.Request) { r.ContentLength = 0 },
			"POST /path?query HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"},
		{"chunked, data with the end", "POST", "body", func(r *http.Request) { r.ContentLength, r.Body = -1, io.NopCloser(dataWithEOF{r.Body}) },
			"POST /path?query HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"},
		{"long", "POST", large, nil, "POST /path?query HTTP/1.1\r\nHost: example.org\r\nContent-Length: 65537\r\n\r\n" + large},
		{"expect", "POST", "body", func(r *http.Request) { r.Header.Set("Expect", "100-continue") },
			"POST /path?query HTTP/1.1\r\nHost: example.org\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody"},
		{"upgrade", "GET", "", func(r *http.Request) {
			r.Header = http.Header{"Connection": {"keep-alive, upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Key": {"x"}}
		}, "GET /path?query HTTP/1.1\r\nHost: example.org\r\nSec-Websocket-Key: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := make(chan string, 1)
			tr, _ := serve(t, func(f *fakeConn) {
				var b bytes.Buffer
				f.br.Reset(io.TeeReader(f.Conn, &b))
				f.readHead()
				if c.name == "expect" {
					f.say("HTTP/1.1 100 Continue\r\n\r\n")
				}
				io.CopyN(io.Discard, f.br, int64(len(c.want)-(b.Len()-f.br.Buffered())))
				got <- b.String()
				f.say(ok)
			})
			r := newRequest(t, c.method, c.body)
			if c.edit != nil {
				c.edit(r)
			}
			resp, text, err := roundTripAll(tr, r)
			if err != nil || text != "text" || resp.Request != r {
				t.Fatalf("%q, %v", text, err)
			}
			if s := <-got; s != c.want {
				t.Errorf("sent %.300q\nwant %.300q", s, c.want)
			}
		})
	}
}

type dataWithEOF struct{ r io.Reader }

func (d dataWithEOF) Read(p []byte) (int, error) {
	n, err := io.ReadFull(d.r, p)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}

// TestRefusedRequests checks that nothing which could be taken for more than one
// request is sent, nor quoted in the error.
func TestRefusedRequests(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, s := serve(t, responding(ok))
	for name, edit := range map[string]func(r *http.Request){
		"LF in a value":      func(r *http.Request) { r.Header["A"] = []string{"secret\nB: x"} },
		"CR in a value":      func(r *http.Request) { r.Header["A"] = []string{"secret\rB: x"} },
		"NUL in a value":     func(r *http.Request) { r.Header["A"] = []string{"secret\x00"} },
		"LF in a name":       func(r *http.Request) { r.Header["A\n"] = []string{"secret"} },
		"colon in a name":    func(r *http.Request) { r.Header["A:"] = []string{"secret"} },
		"space in a name":    func(r *http.Request) { r.Header["Content-Length "] = []string{"secret"} },
		"no name":            func(r *http.Request) { r.Header[""] = []string{"secret"} },
		"method":             func(r *http.Request) { r.Method = "GET /secret HTTP/1.1\r\n" },
		"CONNECT":            func(r *http.Request) { r.Method = "CONNECT" },
		"space in the query": func(r *http.Request) { r.URL.RawQuery = "secret HTTP/1.1" },
		"LF in the query":    func(r *http.Request) { r.URL.RawQuery = "secret\n" },
		"opaque":             func(r *http.Request) { r.URL.Opaque = "/secret /x" },
		"LF in the host":     func(r *http.Request) { r.Host = "secret\r\nA: b" },
		"slash in the host":  func(r *http.Request) { r.Host = "secret/x" },
		"LF in an upgrade": func(r *http.Request) {
			r.Header["Connection"], r.Header["Upgrade"] = []string{"upgrade"}, []string{"secret\n"}
		},
		"no URL": func(r *http.Request) { r.URL = nil },
	} {
		r := newRequest(t, "POST", "")
		b := newBody(strings.NewReader("body"))
		r.Body, r.ContentLength = b, 4
		edit(r)
		_, _, err := roundTripAll(tr, r)
		if e := failure(t, err); !errors.Is(err, roundtrip.ErrRequest) || e.Sent || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
		if reads, closed := b.state(); reads > 0 || !closed {
			t.Errorf("%s: read %d times, closed %t", name, reads, closed)
		}
	}
	if n := s.Connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// TestBodies have another length than they say, or can't be read.
func TestBodies(t *testing.T) {
	fakeserver.NoLeaks(t)
	broken := errors.New("broken")
	for _, c := range []struct {
		name   string
		body   io.Reader
		length int64
		sent   bool
	}{
		{"short", strings.NewReader("bod"), 4, false},
		{"empty", strings.NewReader(""), 4, false},
		{"longer", strings.NewReader("bodyG"), 4, false},
		{"fails", io.MultiReader(strings.NewReader("bo"), failing{broken}), 4, false},
		{"fails at the end", io.MultiReader(strings.NewReader("body"), failing{broken}), 4, false},
		{"says nothing", failing{nil}, 4, false},
		{"large, short", io.LimitReader(endless{}, smallBody), smallBody + 1, true},
		{"large, longer", io.LimitReader(endless{}, smallBody+2), smallBody + 1, true},
		{"large, fails", io.MultiReader(io.LimitReader(endless{}, smallBody), failing{broken}), smallBody + 1, true},
		{"unknown, fails", io.MultiReader(strings.NewReader("body"), failing{broken}), -1, true},
		{"unknown, fails with an end", io.MultiReader(strings.NewReader("body"), failing{io.ErrUnexpectedEOF}), -1, true},
		{"unknown, says nothing", failing{nil}, -1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole := make(chan bool, 1)
			tr, s := serve(t, func(f *fakeConn) {
				_, err := f.read()
				whole <- err == nil
			})
			r := newRequest(t, "POST", "")
			b := newBody(c.body)
			r.Body, r.ContentLength = b, c.length
			_, _, err := roundTripAll(tr, r)
			if e := failure(t, err); !errors.Is(err, roundtrip.ErrBody) || e.Sent != c.sent || e.Responded {
				t.Errorf("%+v", e)
			}
			if _, closed := b.state(); !closed {
				t.Error("the body is open")
			}
			if c.sent && <-whole {
				t.Error("the server saw a whole request")
			}
			fakeserver.Eventually(t, "it was dialled", func() bool { return s.Connections() == 1 })
			if !c.sent && idle(tr) != 1 {
				t.Errorf("%d idle", idle(tr))
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
