package megaki

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

// watched starts a server whose handler waits for its context's end when the
// message is "wait", and sends what it saw to the channel.
func watched(t *testing.T) (addr string, ends <-chan error) {
	seen := make(chan error, 16)
	return start(t, &Server{Handler: HandlerFunc(func(w *ResponseWriter, r *Request) error {
		switch string(r.Body) {
		case "wait":
			select {
			case <-r.Context().Done():
				seen <- r.Context().Err()
			case <-time.After(20 * time.Second):
				seen <- errors.New("the context never ended")
			}
		case "look": // a watch that ends with the handler
			select {
			case <-r.Context().Done():
				seen <- r.Context().Err()
			default:
				seen <- nil
			}
		}
		return echo(w, r)
	})}), seen
}

func TestContextEndsWithTheConnection(t *testing.T) {
	addr, ends := watched(t)
	for name, leave := range map[string]func(c net.Conn){
		"closes":            func(c net.Conn) { c.Close() },
		"resets":            func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() },
		"sends out of turn": func(c net.Conn) { c.Write([]byte("x")) },
	} {
		c := dial(t, addr, clientConfig())
		checkEcho(t, c, 10)
		go c.RoundTrip(context.Background(), []byte("wait"))
		select {
		case err := <-ends:
			t.Fatalf("%s: it ended before: %v", name, err)
		case <-time.After(50 * time.Millisecond):
		}
		leave(c.conn)
		if err := <-ends; err != context.Canceled {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestContextOfAHandlerThatReturns(t *testing.T) {
	addr, ends := watched(t)
	c := dial(t, addr, clientConfig())
	for range 100 {
		if response, err := c.RoundTrip(t.Context(), []byte("look")); err != nil || string(response) != "look" {
			t.Fatalf("%q, %v", response, err)
		}
		if err := <-ends; err != nil {
			t.Fatal(err)
		}
		checkEcho(t, c, 1000)
	}
}

func TestContextEndsWithTheServer(t *testing.T) {
	ready, seen := make(chan bool), make(chan error, 1)
	s := &Server{Handler: HandlerFunc(func(w *ResponseWriter, r *Request) error {
		done := r.Context().Done()
		ready <- true
		<-done
		seen <- r.Context().Err()
		return nil
	})}
	addr := start(t, s)
	c := dial(t, addr, clientConfig())
	go c.RoundTrip(context.Background(), []byte("x"))
	<-ready
	s.Close()
	if err := <-seen; err == nil {
		t.Error("no error")
	}
}
