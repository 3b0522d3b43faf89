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
	long := []string{":method GET", ":scheme https", ":authority localhost", ":path /deaf", "x " + strings.Repeat("x", 60_000)}
	// These send requests with fields, and data bytes of a body; less than 0: a part of the fields.
	overHTTP2 := func(requests int, fields []string, data int) (io.Reader, func()) {
		c := tls.Client(dial("tls"), &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"h2"}})
		if c.Handshake() != nil {
			return strings.NewReader(""), func() {}
		}
		io.WriteString(c, http2.ClientPreface)
		f := http2.NewFramer(c, c)
		f.WriteSettings()
		var block bytes.Buffer
		enc := hpack.NewEncoder(&block)
		for _, field := range fields {
			name, value, _ := strings.Cut(field, " ")
			enc.WriteField(hpack.HeaderField{Name: name, Value: value})
		}
		for i := range requests {
			stream := uint32(2*i + 1)
			rest := block.Bytes()
			first := rest[:min(len(rest), 16<<10)]
			rest = rest[len(first):]
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndStream: data == 0, EndHeaders: len(rest) == 0})
			for len(rest) > 0 {
				piece := rest[:min(len(rest), 16<<10)]
				rest = rest[len(piece):]
				f.WriteContinuation(stream, len(rest) == 0, piece)
			}
			if data > 0 {
				f.WriteData(stream, false, make([]byte, data))
			}
		}
		return headersOf(f), func() { c.Close() }
	}
	overHTTP3 := func(requests int, fields []string, data int) (io.Reader, func()) {
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
		var block bytes.Buffer
		enc := qpack.NewEncoder(&block)
		for _, field := range fields {
			name, value, _ := strings.Cut(field, " ")
			enc.WriteField(qpack.HeaderField{Name: name, Value: value})
		}
		r, w := io.Pipe() // has something to read once any of the requests has
		for range requests {
			str, err := conn.OpenStream()
			if err != nil {
				t.Fatal(err)
			}
			header := appendH3Frame(nil, h3Headers, block.Bytes())
			switch {
			case data < 0:
				str.Write(header[:8])
			case data > 0:
				str.Write(append(header, appendH3Frame(nil, h3Data, make([]byte, data))...))
			default:
				str.Write(header)
				str.Close()
			}
			go func() {
				str.Read(make([]byte, 1))
				w.Write([]byte{0})
			}()
		}
		return r, func() { conn.CloseWithError(0, ""); r.Close() }
	}
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
		{"bodies over HTTP/2", 256 << 10, func() (io.Reader, func()) { return overHTTP2(1, post, 10_000) }},
		{"bodies over HTTP/3", (96 + 256) << 10, func() (io.Reader, func()) { return overHTTP3(1, post, 10_000) }},
		{"long headers over HTTP/2", 180_000, func() (io.Reader, func()) { return overHTTP2(3, long, 0) }},
		{"long headers over HTTP/3", 96<<10 + 170_000, func() (io.Reader, func()) { return overHTTP3(3, long, 0) }},
		{"long headers over HTTP/3 that don't end", 96<<10 + 150_000, func() (io.Reader, func()) { return overHTTP3(3, long, -1) }},
		{"short headers over HTTP/3 that don't end", (96 + 20*8) << 10, func() (io.Reader, func()) { return overHTTP3(21, post, -1) }},
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

// TestHTTP2FramesAreShort: a client that begins a frame of 1 MiB, in 9 bytes, made the daemon
// take that memory for it, on each of its connections.
func TestHTTP2FramesAreShort(t *testing.T) {
	p, _ := allListeners(t, `
routes:
  - respond: {body: hello}
`)
	secure := tls.Client(dialTCP(t, p.Addr("tls").String()), &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"h2"}})
	io.WriteString(secure, http2.ClientPreface)
	f := http2.NewFramer(secure, secure)
	f.WriteSettings()
	frame, err := f.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	settings, ok := frame.(*http2.SettingsFrame)
	if most, set := settings.Value(http2.SettingMaxFrameSize); !ok || set && most > 16<<10 {
		t.Fatalf("the server takes frames of %d bytes", most)
	}
	secure.Write([]byte{0x0f, 0xff, 0xff, byte(http2.FrameSettings), 0, 0, 0, 0, 0})
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatalf("the connection ends with %v", err)
		}
		if away, ok := frame.(*http2.GoAwayFrame); ok {
			if away.ErrCode != http2.ErrCodeFrameSize {
				t.Errorf("the connection ends with %v", away.ErrCode)
			}
			return
		}
	}
}

func dialTCP(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}
