package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"mkd/config"
)

// serving runs a configuration, with access lines that go nowhere.
func serving(b *testing.B, text string) *Daemon {
	b.Helper()
	out, err := os.Create(os.DevNull)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { out.Close() })
	logs, err := NewLogs(config.Log{Level: "info", Format: "json", Access: config.LogAccess{Enabled: true}}, out)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { logs.Close() })
	p, err := New(load(b, text), logs)
	if err != nil {
		b.Fatal(err)
	}
	if err := p.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Shutdown(b.Context()) })
	return p
}

// benchMessages sends messages by several clients at once, over and over.
func benchMessages(b *testing.B, p *Daemon, message []byte) {
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		c := client(b, p, "app")
		for pb.Next() {
			if _, err := c.Send(b.Context(), message); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkMessage carries a message of 64 bytes from a client through a
// session, the router and a PHP worker, and back.
func BenchmarkMessage(b *testing.B) {
	p := serving(b, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
backends:
  site: {php: {script: SITE, workers: {min: 2, max: 2}, max_requests: 0}}
routes:
  - match: {payload: raw}
    backend: site
`)
	benchMessages(b, p, make([]byte, 64))
}

// bareUpstream is a server that does as little as one can: it reads a head and
// writes 64 bytes.
func bareUpstream(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	response := append([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 64\r\n\r\n"), make([]byte, 64)...)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				br := bufio.NewReader(conn)
				for {
					for line := []byte("..."); len(line) > len("\r\n"); {
						if line, err = br.ReadSlice('\n'); err != nil {
							return
						}
					}
					conn.Write(response)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

const benchRequest = "GET /index.html?a=b HTTP/1.1\r\nHost: example.org\r\nUser-Agent: bench\r\nAccept: */*\r\nCookie: a=b\r\n\r\n"

// BenchmarkHTTP carries a GET to an HTTP upstream and back, by Megaki and by
// HTTP. direct is what the client and the upstream take alone.
func BenchmarkHTTP(b *testing.B) {
	upstream := bareUpstream(b)
	text := `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  api: {http: {upstreams: [{url: ` + upstream + `}]}}
routes:
  - backend: api
`
	b.Run("megaki", func(b *testing.B) { benchMessages(b, serving(b, text), []byte(benchRequest)) })
	b.Run("http", func(b *testing.B) { benchPlain(b, serving(b, text).Addr("web").String()) })
	b.Run("direct", func(b *testing.B) { benchPlain(b, upstream[len("http://"):]) })
}

func benchPlain(b *testing.B, address string) {
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		br := bufio.NewReader(conn)
		for pb.Next() {
			io.WriteString(conn, benchRequest)
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
		}
	})
}

// BenchmarkHeaders is what a request costs in mkd's own code: parsing it, bringing
// it to the form in which it is matched, removing what a client could have forged,
// matching, and writing the response. There are no sockets.
func BenchmarkHeaders(b *testing.B) {
	log, err := NewLogs(config.Log{Level: "info", Format: "json"}, io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { log.Close() })
	d, err := New(load(b, `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
backends:
  none: {http: {upstreams: [{url: "http://127.0.0.1:1"}]}}
routes:
  - {match: {hosts: [other.example.org]}, backend: none}
  - {match: {paths: [/index.html]}, respond: {body: "`+strings.Repeat("x", 64)+`"}}
`), log)
	if err != nil {
		b.Fatal(err)
	}
	if err := d.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Shutdown(context.Background()) })
	done := make(chan struct{})
	conn := &repeating{request: []byte(benchRequest), left: b.N, done: done}
	b.ReportAllocs()
	b.ResetTimer()
	d.listeners[0].ServeConn(conn)
	<-done
}

// repeating is a connection on which a client sends the same request, over and
// over, and reads the responses.
type repeating struct {
	net.Conn
	request []byte
	left    int
	once    sync.Once
	done    chan struct{}
}

func (c *repeating) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	c.left--
	return copy(p, c.request), nil
}

func (c *repeating) Write(p []byte) (int, error)      { return len(p), nil }
func (c *repeating) Close() error                     { c.once.Do(func() { close(c.done) }); return nil }
func (c *repeating) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (c *repeating) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (c *repeating) SetDeadline(time.Time) error      { return nil }
func (c *repeating) SetReadDeadline(time.Time) error  { return nil }
func (c *repeating) SetWriteDeadline(time.Time) error { return nil }
