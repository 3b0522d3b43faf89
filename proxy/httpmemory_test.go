package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestOneAddressCannotTakeAllMemory: one address with thousands of long headers, bodies
// that no backend reads, or handshakes that don't end took gigabytes. It gets its share of
// http_memory, and others are served.
func TestOneAddressCannotTakeAllMemory(t *testing.T) {
	release := make(chan struct{})
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/deaf" {
			<-release
			return
		}
		io.Copy(io.Discard, r.Body)
	}))
	t.Cleanup(u.Close)
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0", header_timeout: 1h, body_timeout: 1h}}
  tls: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: true, header_timeout: 1h, body_timeout: 1h}}
backends:
  api: {http: {upstreams: [{url: `+u.URL+`}]}}
routes:
  - backend: api
limits: {http_memory: 2MiB}
`))
	greedy := net.IPv4(127, 0, 0, 3)
	dial := func(listener string) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: greedy}}
		c, err := d.Dial("tcp", p.Addr(listener).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(5 * time.Minute))
		return c
	}
	post := []string{":method POST", ":scheme https", ":authority localhost", ":path /deaf", "content-length 300000"}
	for _, attack := range []struct {
		name  string
		takes int64 // bytes of a connection that isn't refused
		// open begins, and returns a connection that is at its end or has a response once
		// it is refused.
		open func() (conn io.Reader, end func())
	}{
		{"long headers", 128 << 10, func() (io.Reader, func()) {
			c := dial("web")
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 60_000))
			return c, func() { c.Close() }
		}},
		{"handshakes", 128 << 10, func() (io.Reader, func()) {
			c := dial("tls")
			return c, func() { c.Close() }
		}},
		{"bodies over HTTP/2", 256 << 10, func() (io.Reader, func()) {
			c := tls.Client(dial("tls"), &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"h2"}})
			if c.Handshake() != nil {
				return strings.NewReader(""), func() {}
			}
			io.WriteString(c, http2.ClientPreface)
			f := http2.NewFramer(c, c)
			f.WriteSettings()
			var block bytes.Buffer
			enc := hpack.NewEncoder(&block)
			for _, field := range post {
				name, value, _ := strings.Cut(field, " ")
				enc.WriteField(hpack.HeaderField{Name: name, Value: value})
			}
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
			f.WriteData(1, false, make([]byte, 10_000))
			return headersOf(f), func() { c.Close() }
		}},
		{"bodies over HTTP/3", (96 + 256) << 10, func() (io.Reader, func()) {
			udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: greedy})
			if err != nil {
				t.Fatal(err)
			}
			tr := &quic.Transport{Conn: udp}
			t.Cleanup(func() { tr.Close(); udp.Close() })
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			to, _ := net.ResolveUDPAddr("udp", p.Addr("tls").String())
			conn, err := tr.Dial(ctx, to, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{http3.NextProtoH3}}, nil)
			if err != nil {
				return strings.NewReader(""), func() {}
			}
			str, err := conn.OpenStream()
			if err != nil {
				t.Fatal(err)
			}
			var block bytes.Buffer
			enc := qpack.NewEncoder(&block)
			for _, field := range post {
				name, value, _ := strings.Cut(field, " ")
				enc.WriteField(qpack.HeaderField{Name: name, Value: value})
			}
			str.Write(appendH3Frame(appendH3Frame(nil, h3Headers, block.Bytes()), h3Data, make([]byte, 10_000)))
			return str, func() { conn.CloseWithError(0, "") }
		}},
	} {
		t.Run(attack.name, func(t *testing.T) {
			refused := 0
			var ends []func()
			for range 30 {
				before := p.webMemory.InUse()
				conn, end := attack.open()
				ends = append(ends, end)
				over := make(chan struct{})
				go func() {
					conn.Read(make([]byte, 1))
					close(over)
				}()
				for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
					if p.webMemory.InUse() >= before+attack.takes {
						break
					}
					select {
					case <-over:
						refused++
					default:
						if time.Now().After(deadline) {
							t.Fatalf("a connection takes %d bytes and isn't refused", p.webMemory.InUse()-before)
						}
						continue
					}
					break
				}
			}
			if used := p.webMemory.InUse(); refused < 10 || refused > 28 || used > 3*(2<<20)/4+attack.takes {
				t.Errorf("%d of 30 connections were refused, %d bytes are in use", refused, used)
			}
			for _, way := range everyWay {
				g := way.send(t, p, &asked{method: "POST", target: "/", fields: []string{"Host: x", "X: " + strings.Repeat("x", 10_000)}, body: strings.Repeat("x", 5000)})
				if g.status != 200 {
					t.Errorf("%s: another client got %d %q", way.name, g.status, g.body)
				}
			}
			for _, end := range ends {
				end()
			}
			await(t, "the memory is given back", func() bool { return p.webMemory.InUse() == 0 && p.webMemory.Clients() == 0 })
		})
	}
	close(release)
}

// headersOf returns a reader that has something to read once the header of a response
// arrives, or the connection ends.
func headersOf(f *http2.Framer) io.Reader {
	r, w := io.Pipe()
	go func() {
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				w.CloseWithError(err)
				return
			}
			if _, ok := frame.(*http2.HeadersFrame); ok {
				w.Write([]byte{0})
			}
		}
	}()
	return r
}
