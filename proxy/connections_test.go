package proxy

import (
	"bytes"
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// TestOneAddressCannotTakeAllConnections: silent connections of one address
// took all of max_connections, of every kind of listener. A trusted proxy may
// have them all.
func TestOneAddressCannotTakeAllConnections(t *testing.T) {
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY], max_connections: 20, handshake_timeout: 1h}}
  web: {http: {address: "127.0.0.1:0", max_connections: 20, header_timeout: 1h}}
trusted_proxies: [127.0.0.4]
backends:
  api: {http: {upstreams: [{url: "http://127.0.0.1:1"}]}}
routes:
  - {match: {paths: [/]}, respond: {status: 200, body: fine}}
  - backend: api
`))
	for _, w := range ways {
		flood := func(from string, n int) (open []net.Conn) {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
			for range n {
				c, err := d.Dial("tcp", p.Addr(w.name).String())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				open = append(open, c)
			}
			return open
		}
		conns := flood("127.0.0.3", 60)
		for _, c := range conns[15:] { // what is beyond the share is closed
			c.SetDeadline(time.Now().Add(20 * time.Second))
			if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%s: a connection beyond the share is open: %d bytes, %v", w.name, n, err)
			}
		}
		if response := w.send(t, p, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); !bytes.Contains(response, []byte("fine")) {
			t.Errorf("%s: a quiet client got %q", w.name, response)
		}
		for _, c := range conns {
			c.Close()
		}
		trusted := flood("127.0.0.4", 20)
		deadline := time.Now().Add(300 * time.Millisecond)
		for _, c := range trusted {
			c.SetReadDeadline(deadline)
		}
		for i, c := range trusted {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: connection %d of 20 of a trusted proxy is not open: %v", w.name, i, err)
			}
		}
	}
}
