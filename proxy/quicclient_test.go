package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"
	"golang.org/x/net/http2/hpack"
)

// dialQUIC connects to the listener tls.
func dialQUIC(t *testing.T, p *Daemon) *quic.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, err := quic.DialAddr(ctx, p.Addr("tls").String(), &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{http3.NextProtoH3}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// Types of HTTP/3 frames (RFC 9114, section 7.2).
const (
	h3Data    = 0
	h3Headers = 1
)

func appendH3Frame(b []byte, kind uint64, payload []byte) []byte {
	b = quicvarint.Append(b, kind)
	b = quicvarint.Append(b, uint64(len(payload)))
	return append(b, payload...)
}

// sendHTTP3 does the same as sendHTTP2. A stream that is reset is a response with status 0:
// so the server of HTTP/3 responds to a malformed header (RFC 9114, section 4.1.2).
func sendHTTP3(t *testing.T, conn *quic.Conn, fields []hpack.HeaderField, body string) got {
	t.Helper()
	return exchangeHTTP3(t, conn, withLength(fields, body), body)
}

// exchangeHTTP3 does the same as exchangeHTTP2.
func exchangeHTTP3(t *testing.T, conn *quic.Conn, fields []hpack.HeaderField, body string) got {
	t.Helper()
	defer conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	str, err := conn.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	str.SetDeadline(time.Now().Add(20 * time.Second))
	var block bytes.Buffer
	enc := qpack.NewEncoder(&block)
	for _, f := range fields {
		enc.WriteField(qpack.HeaderField{Name: f.Name, Value: f.Value})
	}
	request := appendH3Frame(nil, h3Headers, block.Bytes())
	if body != "" {
		request = appendH3Frame(request, h3Data, []byte(body))
	}
	go func() {
		str.Write(request)
		str.Close()
	}()
	g, err := readHTTP3(str)
	if err != nil {
		t.Fatalf("%v after %+v", err, g)
	}
	return g
}

func readHTTP3(str io.Reader) (got, error) {
	g := got{header: make(http.Header)}
	br := bufio.NewReader(str)
	for {
		kind, err := quicvarint.Read(br)
		if reset := (*quic.StreamError)(nil); err == io.EOF && g.status >= 200 || asError(err, &reset) {
			return g, nil
		}
		if err != nil {
			return g, err
		}
		length, err := quicvarint.Read(br)
		if err != nil {
			return g, err
		}
		payload := make([]byte, min(length, 16<<20))
		if _, err := io.ReadFull(br, payload); err != nil {
			return g, err
		}
		switch kind {
		case h3Data:
			g.body += string(payload)
		case h3Headers:
			decode := qpack.NewDecoder().Decode(payload)
			for {
				f, err := decode()
				if err == io.EOF {
					break
				}
				if err != nil {
					return g, fmt.Errorf("a malformed header: %w", err)
				}
				if f.Name == ":status" {
					g.status, _ = strconv.Atoi(f.Value)
				} else {
					g.header.Add(f.Name, f.Value)
				}
			}
		}
	}
}
