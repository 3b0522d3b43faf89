package http1

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestFullDuplex has a handler that responds while the body comes.
func TestFullDuplex(t *testing.T) {
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(flushing{w}, r.Body)
	}, nil)
	c := dial(t, addr)
	br := bufio.NewReader(c)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range []string{"a", "b", "c"} {
		got := make([]byte, 1)
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != piece {
			t.Fatalf("%q, %v, want %q", got, err, piece)
		}
		if piece != "c" {
			fmt.Fprintf(c, "1\r\n%c\r\n", piece[0]+1)
		}
	}
	io.WriteString(c, "0\r\n\r\n")
	if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
	if !resp.Close {
		t.Error("the response began before the body's end, and doesn't say that the connection closes")
	}
}

type flushing struct{ http.ResponseWriter }

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	http.NewResponseController(f.ResponseWriter).Flush()
	return n, err
}

func TestResponses(t *testing.T) {
	long := strings.Repeat("x", 3*gatherSize)
	for _, test := range []struct {
		name   string
		handle func(w http.ResponseWriter, r *http.Request)
		want   string
	}{
		{"nothing", func(w http.ResponseWriter, r *http.Request) {}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"no content", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }, "HTTP/1.1 204 No Content\r\n\r\n"},
		{"not modified", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "7")
			w.WriteHeader(304)
		}, "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"},
		{"chunked", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "a")
			http.NewResponseController(w).Flush()
			io.WriteString(w, "bc")
		}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"},
		{"long", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, long) },
			fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(long), long)},
		{"long with a length", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			io.WriteString(w, long[:5])
			io.WriteString(w, long[5:])
		}, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(long), long)},
		{"longer than its length", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "2")
			if n, err := io.WriteString(w, "abc"); n != 2 || err != http.ErrContentLength {
				t.Errorf("Write returned %d, %v", n, err)
			}
		}, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"},
		{"trailers", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum, Content-Length")
			io.WriteString(w, "a")
			w.Header().Set("X-Sum", "1")
			w.Header().Set(http.TrailerPrefix+"X-More", "2")
		}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n"},
		{"early hints", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</a.css>")
			w.WriteHeader(103)
			w.Header().Del("Link")
			w.WriteHeader(204)
		}, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"},
		{"upgrade required", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Upgrade", "websocket")
			w.WriteHeader(426)
		}, "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n"},
		{"line ends in a value", func(w http.ResponseWriter, r *http.Request) {
			w.Header()["X"] = []string{"a\r\nb\x00c"}
			w.Header()["X\r\nY"] = []string{"c"}
		}, "HTTP/1.1 200 OK\r\nX: a  b c\r\nContent-Length: 0\r\n\r\n"},
		{"a length that is none", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "-1")
			io.WriteString(w, "a")
		}, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"},
		{"close", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "x, Close") },
			"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
		{"a trailer that is set before", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "x-sum")
			w.Header().Set("X-Sum", "1")
		}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n0\r\nX-Sum: 1\r\n\r\n"},
		{"framing in early hints", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1")
			w.Header().Set("Transfer-Encoding", "chunked")
			w.WriteHeader(103)
			io.WriteString(w, "a")
		}, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"},
		{"taken back", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", "y")
			io.WriteString(w, "half")
			if !w.(*Response).Reset() {
				t.Error("Reset returned false")
			}
			w.WriteHeader(500)
		}, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, addr := start(t, test.handle, nil)
			if got := talk(t, addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); got != test.want {
				t.Errorf("got\n%.400q, want\n%.400q", got, test.want)
			}
		})
	}
}

// TestFramingFields: other fields have the same length.
func TestFramingFields(t *testing.T) {
	for name, want := range map[string]bool{
		"Upgrade": true, "Trailer": true, "X-Seven": false,
		"Connection": true, "Keep-Alive": true, "Set-Cookie": false,
		"Content-Length": true, "Accept-Charset": false,
		"Proxy-Connection": true, "Www-Authenticate": false,
		"Transfer-Encoding": true, "If-Modified-Since": false,
	} {
		if isFraming(name) != want || isFraming(strings.ToLower(name)) != want {
			t.Errorf("%s: %t", name, !want)
		}
	}
}

// TestDate: a response has a Date (RFC 9110, section 6.6.1), the handler's own if there is one.
func TestDate(t *testing.T) {
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/own" {
			w.Header().Set("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
		}
	}, nil)
	for _, path := range []string{"/", "/own"} {
		c := dial(t, addr)
		io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		at, err := http.ParseTime(resp.Header.Get("Date"))
		if err != nil || len(resp.Header["Date"]) != 1 || (path == "/own") != (at.Year() == 1994) || path == "/" && time.Since(at).Abs() > time.Minute {
			t.Errorf("%s: %q, %v", path, resp.Header["Date"], err)
		}
	}
}

// TestShortResponse has a response with fewer bytes than announced: the
// connection ends, so that the client doesn't wait for the rest.
func TestShortResponse(t *testing.T) {
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5")
		io.WriteString(w, "abc")
	}, nil)
	c := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); string(body) != "abc" || err != io.ErrUnexpectedEOF {
		t.Errorf("%q, %v", body, err)
	}
}

// TestNoSwitch: a connection isn't handed over in the middle of a request's body, which
// would be read as the other protocol, or after the response has begun.
func TestNoSwitch(t *testing.T) {
	for name, first := range map[string]func(w http.ResponseWriter, r *http.Request){
		"body":     func(http.ResponseWriter, *http.Request) {},
		"response": func(w http.ResponseWriter, r *http.Request) { io.ReadAll(r.Body); w.WriteHeader(200) },
	} {
		_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
			first(w, r)
			if c, _, err := w.(*Response).SwitchProtocols(); err == nil || c != nil {
				t.Errorf("%s: the connection is handed over", name)
			}
		}, nil)
		got := talk(t, addr, "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: 5\r\n\r\nhello")
		if !strings.HasPrefix(got, "HTTP/1.1 200 ") || strings.Count(got, "HTTP/1.1") != 1 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestSwitchedHasNoDeadlines: a connection in another protocol may be silent for longer
// than the head of a request.
func TestSwitchedHasNoDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{HeaderTimeout: time.Second, BodyTimeout: time.Second, WriteTimeout: time.Second}
		s.NewHandler = func(net.Conn) Handler {
			return handlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, from, err := w.(*Response).SwitchProtocols()
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(c, from)
			})
		}
		client, nc := net.Pipe()
		go s.ServeConn(nc)
		io.WriteString(client, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		br := bufio.NewReader(client)
		if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 101 {
			t.Fatalf("%+v, %v", resp, err)
		}
		time.Sleep(time.Hour)
		go io.WriteString(client, "a")
		time.Sleep(time.Hour)
		if b, err := br.ReadByte(); b != 'a' || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		client.Close()
		synctest.Wait()
	})
}

func TestSwitchProtocols(t *testing.T) {
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		c, from, err := w.(*Response).SwitchProtocols()
		if err != nil {
			t.Error(err)
			return
		}
		io.Copy(c, from)
	}, nil)
	got := talk(t, addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello")
	if !strings.HasPrefix(got, "HTTP/1.1 101 Switching Protocols\r\n") || !strings.Contains(got, "Upgrade: echo\r\n") || !strings.HasSuffix(got, "\r\n\r\nhello") {
		t.Errorf("got %q", got)
	}
}
