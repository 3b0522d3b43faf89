package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// allListeners is the front of a configuration with a listener of each kind. The
// rest follows it, from backends on.
func allListeners(t *testing.T, rest string) (*Daemon, string) {
	t.Helper()
	cfg := load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
  tls: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: true}}
`+rest)
	return start(t, cfg)
}

// asked is a request as a test writes it. Host is among the fields.
type asked struct {
	method, target string
	fields         []string // "Name: value"
	body           string
}

func (a *asked) bytes() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", a.method, a.target)
	for _, f := range a.fields {
		b.WriteString(f + "\r\n")
	}
	if a.body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(a.body))
	}
	b.WriteString("\r\n" + a.body)
	return b.Bytes()
}

// got is a response.
type got struct {
	status int
	header http.Header
	body   string
}

// everyWay are all ways of an HTTP request to a route.
var everyWay = []struct {
	name   string
	secure bool
	send   func(t *testing.T, p *Daemon, a *asked) got
}{
	{"megaki", true, func(t *testing.T, p *Daemon, a *asked) got {
		message, err := client(t, p, "app").Send(t.Context(), a.bytes())
		if err != nil {
			t.Fatal(err)
		}
		return readGot(t, bytes.NewReader(message), a.method)
	}},
	{"http", false, func(t *testing.T, p *Daemon, a *asked) got {
		conn, err := net.Dial("tcp", p.Addr("web").String())
		if err != nil {
			t.Fatal(err)
		}
		return sendHTTP1(t, conn, a)
	}},
	{"https h1", true, func(t *testing.T, p *Daemon, a *asked) got { return sendHTTP1(t, dialTLS(t, p, "http/1.1"), a) }},
	{"https h2", true, func(t *testing.T, p *Daemon, a *asked) got {
		return sendHTTP2(t, dialTLS(t, p, "h2"), a.http2(), a.body)
	}},
	{"https h3", true, func(t *testing.T, p *Daemon, a *asked) got {
		return sendHTTP3(t, dialQUIC(t, p), a.http2(), a.body)
	}},
}

func dialTLS(t *testing.T, p *Daemon, protocol string) net.Conn {
	t.Helper()
	c := trusting(t, filepath.Join(p.current.Load().cfg.Storage.Path, "internal", "tls.crt"))
	cfg := c.Transport.(*http.Transport).TLSClientConfig.Clone()
	cfg.ServerName, cfg.NextProtos = "localhost", []string{protocol}
	conn, err := tls.Dial("tcp", p.Addr("tls").String(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if conn.ConnectionState().NegotiatedProtocol != protocol {
		t.Fatalf("the protocol is %q", conn.ConnectionState().NegotiatedProtocol)
	}
	return conn
}

func sendHTTP1(t *testing.T, conn net.Conn, a *asked) got {
	t.Helper()
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	go conn.Write(a.bytes())
	return readGot(t, conn, a.method)
}

func readGot(t *testing.T, r io.Reader, method string) got {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(r), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got{resp.StatusCode, resp.Header, string(body)}
}

// http2 returns the fields of the request in HTTP/2 and HTTP/3, where the first Host is
// the :authority.
func (a *asked) http2() []hpack.HeaderField {
	fields := []hpack.HeaderField{{Name: ":method", Value: a.method}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: a.target}}
	var rest []hpack.HeaderField
	for _, f := range a.fields {
		name, value, _ := strings.Cut(f, ": ")
		if name == "Host" && !slices.ContainsFunc(fields, func(f hpack.HeaderField) bool { return f.Name == ":authority" }) {
			fields = append(fields, hpack.HeaderField{Name: ":authority", Value: value})
			continue
		}
		rest = append(rest, hpack.HeaderField{Name: strings.ToLower(name), Value: value})
	}
	return append(fields, rest...)
}

// sendHTTP2 sends exactly these fields, which no ordinary client would, and the length of
// the body.
func sendHTTP2(t *testing.T, conn net.Conn, fields []hpack.HeaderField, body string) got {
	t.Helper()
	g := exchangeHTTP2(t, conn, withLength(fields, body), body)
	if g.status == 0 {
		t.Fatal("the stream was reset")
	}
	return g
}

func withLength(fields []hpack.HeaderField, body string) []hpack.HeaderField {
	if body == "" {
		return fields
	}
	return append(fields[:len(fields):len(fields)], hpack.HeaderField{Name: "content-length", Value: strconv.Itoa(len(body))})
}

// exchangeHTTP2 sends exactly these fields and this body. A stream that is reset is a
// response with status 0.
func exchangeHTTP2(t *testing.T, conn net.Conn, fields []hpack.HeaderField, body string) got {
	t.Helper()
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(conn, http2.ClientPreface)
	fr := http2.NewFramer(conn, conn)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	fr.WriteSettings()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range fields {
		enc.WriteField(f)
	}
	fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: body == ""})
	window := 65535 // of the connection and the stream (RFC 9113, section 6.9.2)
	send := func() {
		for body != "" && window > 0 {
			n := min(len(body), window, 16<<10)
			fr.WriteData(1, n == len(body), []byte(body[:n]))
			body, window = body[n:], window-n
		}
	}
	send()
	g := got{header: make(http.Header)}
	for {
		frame, err := fr.ReadFrame()
		if err != nil {
			t.Fatalf("%v after %+v", err, g)
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				fr.WriteSettingsAck()
			}
			continue
		case *http2.MetaHeadersFrame:
			g.status, _ = strconv.Atoi(frame.PseudoValue("status"))
			for _, f := range frame.RegularFields() {
				g.header.Add(f.Name, f.Value)
			}
		case *http2.DataFrame:
			g.body += string(frame.Data())
		case *http2.WindowUpdateFrame:
			if frame.StreamID == 0 { // the server moves both together
				window += int(frame.Increment)
				send()
			}
		case *http2.RSTStreamFrame:
			return got{}
		case *http2.GoAwayFrame:
			t.Fatalf("the connection was closed: %v", frame.ErrCode)
		}
		if h := frame.Header(); h.StreamID == 1 && h.Flags.Has(http2.FlagDataEndStream) && g.status >= 200 {
			return g
		}
	}
}
