package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
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

// TestHealthChecksLeaveNoLines: a load balancer connects every second, with or without
// a PROXY header, and closes. That isn't logged.
func TestHealthChecksLeaveNoLines(t *testing.T) {
	p, log := start(t, load(t, `
listeners:
  behind: {megaki: {address: "127.0.0.1:0", keys: [KEY], proxy_protocol: {from: [127.0.0.1]}}}
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
routes: [{respond: {body: ok}}]
`))
	const v2 = "\r\n\r\n\x00\r\nQUIT\n"
	for listener, texts := range map[string][]string{
		"behind": {"", v2 + "\x20\x00\x00\x00", v2 + "\x21\x11\x00\x0c\x0a\x00\x00\x01\x0a\x00\x00\x02\x00\x01\x00\x02"},
		"app":    {""},
		"web":    {""},
	} {
		for _, text := range texts {
			conn, err := net.Dial("tcp", p.Addr(listener).String())
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(conn, text)
			conn.(*net.TCPConn).CloseWrite()
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			io.Copy(io.Discard, conn) // until mkd has closed it
			conn.Close()
		}
	}
	for _, l := range p.open() {
		await(t, "the connections have ended", func() bool { return l.Connections() == 0 })
	}
	if got, err := client(t, p, "app").Send(t.Context(), []byte("GET /last HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil || status(t, got) != 200 {
		t.Fatalf("%q, %v", got, err)
	}
	lines := awaitLog(t, log, `"path":"/last"`)
	for line := range strings.Lines(lines) {
		if !strings.Contains(line, `"msg":"listening"`) && !strings.Contains(line, `"path":"/last"`) && !strings.Contains(line, `"msg":"try it`) {
			t.Errorf("logged: %s", line)
		}
	}
}
