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

// TestHTTP10KeepsAlive only if the client asks for it.
func TestHTTP10KeepsAlive(t *testing.T) {
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "0") }, nil)
	for connection, want := range map[string]string{"": "close", "x": "close", "Keep-Alive": "keep-alive", "keep-alive, close": "close"} {
		got := talk(t, addr, "GET / HTTP/1.0\r\nConnection: "+connection+"\r\n\r\n")
		if want := "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: " + want + "\r\n\r\n"; got != want {
			t.Errorf("%q: got %q, want %q", connection, got, want)
		}
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
		{"a trailer that is too long", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("X: y\r\n", maxTrailer/6+1) + "\r\n", 400},
		{"a line of a trailer that is too long", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + strings.Repeat("y", readSize) + "\r\n\r\n", 400},
		{"a trailer without a colon", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX\r\n\r\n", 400},
		{"a carriage return before the request", "\rxGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
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
		if r.URL.Path == "/byte" {
			io.ReadFull(r.Body, make([]byte, 1))
		}
		http.Error(w, "no", http.StatusMethodNotAllowed)
	}, nil)
	// The rest of these bodies looks like an end with a request after it.
	for _, body := range []string{"zz\r\n\r\n", "1\r\na\n\r\n", "5\r\nx0\r\n\r\n", "1;\r\nx0\r\n\r\n"} {
		for _, path := range []string{"/", "/byte"} {
			got := talk(t, addr, "POST "+path+" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"+body+"POST /admin HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
			if strings.Count(got, "HTTP/1.1 ") != 1 || !strings.Contains(got, "Connection: close\r\n") {
				t.Errorf("%q after %s: got %q", body, path, got)
			}
		}
	}
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

// TestClientLeaves: a handler waits until its client closes the connection.
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

// TestContextOfEachRequest: a context ends with its request, and the next
// request has one that hasn't ended.
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

// TestShutdownEnds: connections that are in use when the context of Shutdown ends are
// closed, and so is what comes later. A handler that waited for the end of its request's
// context once didn't learn of it, and Shutdown waited for the handler.
func TestShutdownEnds(t *testing.T) {
	started := make(chan struct{})
	s, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		done := r.Context().Done()
		close(started)
		<-done
	}, nil)
	c := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); err != context.Canceled {
		t.Error(err)
	}
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes of a connection that is closed", n)
	}
	client, nc := net.Pipe()
	s.ServeConn(nc)
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a connection after Shutdown: %v", err)
	}
	if len(s.conns) > 0 {
		t.Errorf("%d connections are kept", len(s.conns))
	}
}

// TestDrain: each connection closes after its next response.
func TestDrain(t *testing.T) {
	s, addr := start(t, echo, nil)
	c := dial(t, addr)
	br := bufio.NewReader(c)
	for _, drained := range []bool{false, true} {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.Close != drained {
			t.Fatalf("drained %t: %+v, %v", drained, resp, err)
		}
		io.Copy(io.Discard, resp.Body)
		s.Drain()
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
