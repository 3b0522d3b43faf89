package listen

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"mkd/rawio"
)

// detach detaches a connection of a Listener.
func detach(c net.Conn) (fd int, closed func(), err error) {
	return c.(interface {
		Detach() (fd int, closed func(), err error)
	}).Detach()
}

func connections(l net.Listener) int {
	n, _ := l.(*Listener).Status()
	return n
}

// TestDetach: a connection that is detached stays open, and counts until its descriptor
// is closed.
func TestDetach(t *testing.T) {
	for _, header := range []string{"", "PROXY TCP4 1.2.3.4 5.6.7.8 9 443\r\n"} {
		l := start(t, Options{ProxyProtocol: proxies, MaxConnections: 5})
		client := dial(t, proxy, l, header)
		if header == "" {
			client = dial(t, "127.0.0.1", l, "")
			accept(t, l).Close() // without its header
		}
		c := accept(t, l)
		fd, closed, err := detach(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closing what is detached: %v", err)
		}
		if _, _, err := detach(c); err == nil {
			t.Error("it can be detached again")
		}
		if n := connections(l); n != 1 {
			t.Errorf("%d connections count", n)
		}
		again := rawio.Attach(fd)
		io.WriteString(client, "hello")
		var b [5]byte
		if _, err := io.ReadFull(again, b[:]); err != nil || string(b[:]) != "hello" {
			t.Errorf("%q, %v", b, err)
		}
		again.Close()
		closed()
		if n := connections(l); n != 0 {
			t.Errorf("%d connections count after the end", n)
		}
	}
}

// TestDetachWithoutHeader: what a proxy has to send first is read first.
func TestDetachWithoutHeader(t *testing.T) {
	l := start(t, Options{ProxyProtocol: proxies, MaxConnections: 5})
	dial(t, proxy, l, "hello").CloseWrite()
	c := accept(t, l)
	if _, _, err := detach(c); err == nil {
		t.Error("it is detached")
	}
	c.Close()
	if n := connections(l); n != 0 {
		t.Errorf("%d connections count after the end", n)
	}
}

// TestDetachMeetsClose: of both, one ends the connection, and it counts once.
func TestDetachMeetsClose(t *testing.T) {
	l := start(t, Options{MaxConnections: 5})
	for range 200 {
		client := dial(t, "127.0.0.1", l, "")
		c := accept(t, l)
		var wg sync.WaitGroup
		wg.Go(func() { c.Close() })
		wg.Go(func() {
			if fd, closed, err := detach(c); err == nil {
				rawio.Attach(fd).Close()
				closed()
			}
		})
		wg.Wait()
		if n, err := client.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Fatalf("the client sees %d bytes, %v", n, err)
		}
		client.Close()
		if n := connections(l); n != 0 {
			t.Fatalf("%d connections count", n)
		}
	}
}
