package proxy

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// TestSlowReaderOfMessage: what an on_handle has returned for a request of an HTTP listener
// waits for a slow client within limits.spool. Each of them once took up to 16 MiB of memory
// that nothing bounded.
func TestSlowReaderOfMessage(t *testing.T) {
	const size = 6 << 20 // more than the sockets hold
	script := filepath.Join(t.TempDir(), "script.php")
	if err := os.WriteFile(script, []byte(`<?php $ARCANGELO_USERSPACE = ['on_handle' => fn() => "HTTP/1.1 200 OK\r\n\r\n" . str_repeat('x', 6 << 20)];`), 0o644); err != nil {
		t.Fatal(err)
	}
	p, _ := start(t, load(t, `
limits: {spool: {max_total: 10MiB}}
listeners: {web: {http: {address: "127.0.0.1:0"}}}
backends: {site: {php: {script: `+script+`, workers: {min: 1, max: 1}}}}
routes: [{backend: site}]
`))
	ask := func() (net.Conn, string) {
		c, err := net.Dial("tcp", p.Addr("web").String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.(*net.TCPConn).SetReadBuffer(4 << 10)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		status := make([]byte, len("HTTP/1.1 200"))
		if _, err := io.ReadFull(c, status); err != nil {
			t.Fatal(err)
		}
		return c, string(status)
	}
	slow, status := ask()
	if inUse, memory := p.spool.InUse(); status != "HTTP/1.1 200" || inUse < size || memory > 1<<20 {
		t.Errorf("%s: %d bytes are counted, %d in memory", status, inUse, memory)
	}
	if _, status := ask(); status != "HTTP/1.1 503" {
		t.Errorf("beyond the limit: %s", status)
	}
	slow.Close()
	await(t, "nothing is left", func() bool { inUse, memory := p.spool.InUse(); return inUse == 0 && memory == 0 })
	if _, status := ask(); status != "HTTP/1.1 200" {
		t.Errorf("afterwards: %s", status)
	}
}
