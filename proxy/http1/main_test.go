package http1

import (
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

func (f handlerFunc) TakeMemory(int64) bool { return true }

func (f handlerFunc) GiveMemory(int64) {}

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
