package admin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipeListener accepts connections that have no buffer.
type pipeListener struct {
	conns  chan net.Conn
	closed context.Context
	close  context.CancelFunc
}

func newPipeListener() *pipeListener {
	l := &pipeListener{conns: make(chan net.Conn)}
	l.closed, l.close = context.WithCancel(context.Background())
	return l
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed.Done():
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.close(); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// dial connects, and sends text.
func (l *pipeListener) dial(t *testing.T, text string) net.Conn {
	t.Helper()
	c, server := net.Pipe()
	l.conns <- server
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSlowClients: a client that doesn't read the state, or doesn't send its whole request,
// kept one of the connections of admin.http for ever. One that reads a stream keeps it.
func TestSlowClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		s := &Server{Control: new(fakeDaemon), Source: new(fakeSource)}
		served := make(chan error, 1)
		go func() { served <- s.Serve(l, ReadOnly) }()
		deaf := l.dial(t, "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
		mute := l.dial(t, "POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
		go io.Copy(io.Discard, mute)
		stream := l.dial(t, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
		events := bufio.NewScanner(stream)
		events.Buffer(nil, 1<<20)
		for seen, end := 0, time.Now().Add(2*requestTimeout); time.Now().Before(end); {
			if !events.Scan() {
				t.Fatalf("the stream ended after %d events: %v", seen, events.Err())
			}
			if strings.HasPrefix(events.Text(), "data:") {
				seen++
			}
		}
		for name, c := range map[string]net.Conn{"doesn't read": deaf, "doesn't send": mute} {
			c.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := fmt.Fprint(c, "x"); err != io.ErrClosedPipe {
				t.Errorf("the connection of a client that %s is open: %v", name, err)
			}
			c.Close()
		}
		stream.Close()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}
