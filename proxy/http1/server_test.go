package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"mkd/proxy/httpmsg"
)

// handlerFunc is a Handler that responds to refused requests with their status.
type handlerFunc func(w http.ResponseWriter, r *http.Request)

func (f handlerFunc) ServeHTTP1(w *Response, r *http.Request, refused error) error {
	var e *httpmsg.Error
	if errors.As(refused, &e) {
		http.Error(w, e.Error(), e.Status)
		return nil
	}
	f(w, r)
	return nil
}

func (f handlerFunc) Context(parent context.Context) context.Context { return parent }

func (f handlerFunc) Close() {}

// start serves f, and returns the address.
func start(t testing.TB, f handlerFunc, set func(*Server)) (*Server, string) {
	t.Helper()
	s := &Server{NewHandler: func(net.Conn) Handler { return f }}
	if set != nil {
		set(s)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.ServeConn(c)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return s, l.Addr().String()
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

// talk sends the bytes of a client, closes its side, and returns all responses.
func talk(t *testing.T, addr, say string) string {
	t.Helper()
	c := dial(t, addr)
	io.WriteString(c, say)
	c.(*net.TCPConn).CloseWrite()
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%v after %q", err, all)
	}
	return withoutDate(string(all))
}

func withoutDate(s string) string {
	var out strings.Builder
	for line := range strings.Lines(s) {
		if !strings.HasPrefix(line, "Date: ") {
			out.WriteString(line)
		}
	}
	return out.String()
}

// echo responds with the method, the target and the body.
func echo(w http.ResponseWriter, r *http.Request) {
	body := []byte(nil)
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	fmt.Fprintf(w, "%s %s %q", r.Method, r.RequestURI, body)
}

func TestRequests(t *testing.T) {
	_, addr := start(t, echo, nil)
	response := func(body string, fields ...string) string {
		return "HTTP/1.1 200 OK\r\n" + strings.Join(fields, "") + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	for _, test := range []struct{ name, say, want string }{
		{"GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", response(`GET / ""`)},
		{"two in one packet", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n", response(`GET /1 ""`) + response(`GET /2 ""`)},
		{"body with a length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: a\r\n\r\n", response(`POST / "abc"`) + response(`GET /2 ""`)},
		{"chunked body", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n", response(`POST / "abcde"`) + response(`GET /2 ""`)},
		{"chunked body with a trailer", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n", response(`POST / "abc"`) + response(`GET /2 ""`)},
		{"empty line before the request", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", response(`GET / ""`)},
		{"close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n", response(`GET / ""`, "Connection: close\r\n")},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nGET / \"\""},
		{"HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"},
		{"100-continue", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 100 Continue\r\n\r\n" + response(`POST / "abc"`)},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := strings.ReplaceAll(talk(t, addr, test.say), "Content-Type: text/plain; charset=utf-8\r\n", "")
			if got != test.want {
				t.Errorf("got\n%q, want\n%q", got, test.want)
			}
		})
	}
}

// TestFraming has requests that could be read in two ways. Their connection ends
// after the response (RFC 9112, section 6.1), whatever comes behind.
func TestFraming(t *testing.T) {
	const smuggled = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/admin" {
			t.Error("a body was handled as a request")
		}
		echo(w, r)
	}, nil)
	for _, test := range []struct {
		name, say string
		status    int
	}{
		{"Transfer-Encoding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n", 400},
		{"both", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
		{"both, the other way round", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400},
		{"a list of lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n", 400},
		{"a signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n", 400},
		{"another coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
		{"a coding in quotes", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 501},
		{"a space before the colon", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
		{"a folded line", "POST / HTTP/1.1\r\nHost: a\r\nX: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"a bare line feed", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400},
		{"a bare carriage return", "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", 400},
		{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		{"no host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"a chunk size with a sign", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n", 400},
		{"a chunk that ends in LF", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", 400},
		{"a chunk size of 17 digits", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000001\r\na\r\n0\r\n\r\n", 400},
		{"a trailer line without CR", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n", 400},
		{"two empty lines", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		{"CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := talk(t, addr, test.say+smuggled)
			if !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", test.status)) || !strings.Contains(got, "Connection: close\r\n") || strings.Count(got, "\r\n\r\n") != 1 {
				t.Errorf("got %q, want one response with status %d that closes", got, test.status)
			}
		})
	}
}

// TestRestOfBodyIsNoRequest is for a response that is written before the
// request's body has arrived: what arrives later is not handled as a request.
func TestRestOfBodyIsNoRequest(t *testing.T) {
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/admin" {
			t.Error("a body was handled as a request")
		}
		http.Error(w, "no", http.StatusMethodNotAllowed)
	}, nil)
	for _, framing := range []string{"Content-Length: 200\r\n", "Transfer-Encoding: chunked\r\n"} {
		c := dial(t, addr)
		io.WriteString(c, "POST /a.txt HTTP/1.1\r\nHost: a\r\n"+framing+"\r\n")
		br := bufio.NewReader(c)
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 405 || !resp.Close {
			t.Errorf("%s: %v, close %v", framing, resp.Status, resp.Close)
		}
		io.Copy(io.Discard, resp.Body)
		if _, err := io.WriteString(c, "POST /admin HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"); err != nil {
			t.Errorf("%s: the connection was reset: %v", framing, err)
		}
		if rest, err := io.ReadAll(br); len(rest) > 0 || err != nil {
			t.Errorf("%s: got %q, %v after the response", framing, rest, err)
		}
	}
}

// TestSmallBodyThatArrived is for a body that nobody reads, and that has come
// together with its head: the connection is used again.
func TestSmallBodyThatArrived(t *testing.T) {
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Method) }, nil)
	for _, body := range []string{"Content-Length: 3\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"} {
		got := talk(t, addr, "POST / HTTP/1.1\r\nHost: a\r\n"+body+"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if want := "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nPOSTHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nGET"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestUploadSeesItsRefusal sends 20 MB to a handler that refuses at once: a
// client that sends all before it reads must receive the response.
func TestUploadSeesItsRefusal(t *testing.T) {
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	}, nil)
	const size = 20 << 20
	c := dial(t, addr)
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
	if n, err := io.CopyN(c, zeros{}, size); err != nil {
		t.Fatalf("%v after %d bytes", err, n)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 413 || !resp.Close {
		t.Fatalf("%v, %v", resp, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

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
			w.Header()["X"] = []string{"a\r\nb"}
			w.Header()["X\r\nY"] = []string{"c"}
		}, "HTTP/1.1 200 OK\r\nX: a  b\r\nContent-Length: 0\r\n\r\n"},
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

// TestClientLeaves has a handler wait until its client closes the connection.
func TestClientLeaves(t *testing.T) {
	started, left := make(chan struct{}), make(chan error, 1)
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/quick" {
			return
		}
		done := r.Context().Done()
		close(started)
		select {
		case <-done:
			left <- r.Context().Err()
		case <-time.After(10 * time.Second):
			left <- errors.New("the context didn't end")
		}
	}, nil)
	c := dial(t, addr)
	io.WriteString(c, "GET /quick HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-started
	c.Close()
	if err := <-left; err != context.Canceled {
		t.Error(err)
	}
}

// TestContextOfEachRequest has the context end with its request, and the next
// request have one that hasn't ended.
func TestContextOfEachRequest(t *testing.T) {
	var ended <-chan struct{}
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		if ended != nil {
			select {
			case <-ended:
			default:
				t.Error("the context of a request that was handled goes on")
			}
		}
		ended = r.Context().Done()
		if err := r.Context().Err(); err != nil {
			t.Error(err)
		}
	}, nil)
	c := dial(t, addr)
	br := bufio.NewReader(c)
	for range 3 {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if _, err := http.ReadResponse(br, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDeadlines(t *testing.T) {
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusRequestTimeout)
		}
	}, func(s *Server) {
		s.HeaderTimeout, s.BodyTimeout, s.IdleTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	})
	for _, test := range []struct{ name, say, want string }{
		{"nothing", "", ""},
		{"half a head", "GET / HTTP/1.1\r\nHost", ""},
		{"half a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na", "HTTP/1.1 408 Request Timeout\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := dial(t, addr)
			io.WriteString(c, test.say)
			got, err := io.ReadAll(c)
			if !strings.HasPrefix(string(got), test.want) || test.want == "" && len(got) > 0 || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// TestShutdown lets a request in flight end, and closes idle connections.
func TestShutdown(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	s, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(started)
			<-release
		}
	}, nil)
	idle, busy := dial(t, addr), dial(t, addr)
	io.WriteString(idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(idle), nil); err != nil {
		t.Fatal(err)
	}
	io.WriteString(busy, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	<-started
	done := make(chan error)
	go func() { done <- s.Shutdown(context.Background()) }()
	if _, err := idle.Read(make([]byte, 1)); err == nil {
		t.Error("an idle connection stays open")
	}
	close(release)
	resp, err := http.ReadResponse(bufio.NewReader(busy), nil)
	if err != nil || !resp.Close {
		t.Errorf("%v, %v", resp, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
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

// TestPieces sends a request byte by byte.
func TestPieces(t *testing.T) {
	_, addr := start(t, echo, nil)
	c := dial(t, addr)
	for _, b := range []byte("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n") {
		c.Write([]byte{b})
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(resp.Body); string(body) != `POST /x "ab"` {
		t.Errorf("%q", body)
	}
}

func TestLimits(t *testing.T) {
	_, addr := start(t, echo, func(s *Server) { s.Limits = httpmsg.Limits{Head: 8 << 10, Fields: 10} })
	for _, test := range []struct{ name, fields, want string }{
		{"as long as it may be", "X: " + strings.Repeat("a", 7<<10) + "\r\n", "HTTP/1.1 200 "},
		{"too long", "X: " + strings.Repeat("a", 8<<10) + "\r\n", "HTTP/1.1 431 "},
		{"as many fields as there may be", strings.Repeat("X: y\r\n", 9), "HTTP/1.1 200 "},
		{"too many fields", strings.Repeat("X: y\r\n", 10), "HTTP/1.1 431 "},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := talk(t, addr, "GET / HTTP/1.1\r\nHost: a\r\n"+test.fields+"\r\n"); !strings.HasPrefix(got, test.want) {
				t.Errorf("got %.100q, want %q", got, test.want)
			}
		})
	}
}

// TestPanic closes the connection, and leaves others as they are.
func TestPanic(t *testing.T) {
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic("a fault")
		}
	}, nil)
	c := dial(t, addr)
	io.WriteString(c, "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n")
	if got, _ := io.ReadAll(c); len(got) > 0 {
		t.Errorf("got %q", got)
	}
	if got := talk(t, addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("got %q", got)
	}
}
