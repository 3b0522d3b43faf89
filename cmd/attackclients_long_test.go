//go:build long

package cmd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// unreadBody sends a request over an HTTP/2 connection, whose body the backend doesn't
// read.
func unreadBody(size int) func(net.Conn) error {
	return func(c net.Conn) error {
		io.WriteString(c, http2.ClientPreface)
		f := http2.NewFramer(c, bufio.NewReader(c))
		f.WriteSettings()
		for { // the windows that the server grants
			frame, err := f.ReadFrame()
			if err != nil {
				return err
			}
			if s, ok := frame.(*http2.SettingsFrame); ok && s.IsAck() {
				break
			}
		}
		var block bytes.Buffer
		enc := hpack.NewEncoder(&block)
		for _, field := range []string{":method POST", ":scheme https", ":authority localhost", ":path /deaf", "content-length 1000000"} {
			name, value, _ := strings.Cut(field, " ")
			enc.WriteField(hpack.HeaderField{Name: name, Value: value})
		}
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
			return err
		}
		for left := size; left > 0; left -= 16_000 {
			if err := f.WriteData(1, false, make([]byte, min(left, 16_000))); err != nil {
				return err
			}
		}
		return nil
	}
}

// greedyHTTP3 is greedy over HTTP/3: each connection has a request whose body the backend
// doesn't read.
func greedyHTTP3(ctx context.Context, w *webDaemon, n int) {
	to, err := net.ResolveUDPAddr("udp", w.secure)
	if err != nil {
		return
	}
	var wg sync.WaitGroup
	const each = 50 // connections that share a socket
	var transports []*quic.Transport
	for range n / each {
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 9, 9)})
		if err != nil {
			break
		}
		transport := &quic.Transport{Conn: udp}
		transports = append(transports, transport)
		for range each {
			wg.Go(func() {
				for ctx.Err() == nil {
					holdHTTP3(ctx, transport, to)
					select {
					case <-ctx.Done():
					case <-time.After(time.Second):
					}
				}
			})
		}
	}
	wg.Wait() // connections are closed before their sockets
	for _, t := range transports {
		t.Close()
		t.Conn.Close()
	}
}

func holdHTTP3(ctx context.Context, transport *quic.Transport, to net.Addr) {
	conn, err := transport.Dial(ctx, to, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{http3.NextProtoH3}}, nil)
	if err != nil {
		return
	}
	defer conn.CloseWithError(0, "")
	body, end := io.Pipe()
	defer end.Close()
	go end.Write(make([]byte, 128<<10))
	r, err := http.NewRequestWithContext(ctx, "POST", "https://localhost/deaf", body)
	if err != nil {
		return
	}
	r.ContentLength = 1 << 20
	if resp, err := new(http3.Transport).NewClientConn(conn).RoundTrip(r); err == nil {
		resp.Body.Close()
		<-ctx.Done() // it is refused, and keeps the connection
	}
}

// longHello returns the beginning of a TLS handshake, whose first message has 65,000
// bytes.
func longHello(size int) (records []byte) {
	message := append([]byte{1, 0, 65000 >> 8, 65000 & 0xFF}, make([]byte, size)...)
	for len(message) > 0 {
		n := min(len(message), 16<<10)
		records = append(records, 22, 3, 1, byte(n>>8), byte(n))
		records = append(records, message[:n]...)
		message = message[n:]
	}
	return records
}
