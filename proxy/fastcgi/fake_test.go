package fastcgi

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"mkd/internal/testserver/fakeserver"
	"mkd/proxy/roundtrip"
)

// received is a request as a server sees it.
type received struct {
	keep   bool
	params []Param
	body   string
}

func (r *received) get(name string) string {
	for _, p := range r.params {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// fakeConn is a server's end of a connection.
type fakeConn struct {
	net.Conn
	br *bufio.Reader
	n  int // of the connection, from 1
}

// record encodes a record. It is written apart from the package's own.
func record(version, typ byte, id uint16, content string, padding int) string {
	p := []byte{version, typ, 0, 0, 0, 0, byte(padding), 0}
	binary.BigEndian.PutUint16(p[2:], id)
	binary.BigEndian.PutUint16(p[4:], uint16(len(content)))
	return string(p) + content + strings.Repeat("\xff", padding)
}

func stdout(s string) string {
	var b strings.Builder
	for ; len(s) > maxContent; s = s[maxContent:] {
		b.WriteString(record(1, 6, 1, s[:maxContent], 0))
	}
	return b.String() + record(1, 6, 1, s, 0)
}
func stderr(s string) string { return record(1, 7, 1, s, 0) }
func end(protocolStatus byte) string {
	return record(1, 3, 1, string([]byte{4: protocolStatus, 7: 0}), 0)
}

// readRecord decodes a record.
func (c *fakeConn) readRecord() (typ byte, content string, err error) {
	var h [8]byte
	if _, err := io.ReadFull(c.br, h[:]); err != nil {
		return 0, "", err
	}
	if h[0] != 1 || binary.BigEndian.Uint16(h[2:]) != 1 || h[7] != 0 {
		return 0, "", fmt.Errorf("header %x", h)
	}
	p := make([]byte, int(binary.BigEndian.Uint16(h[4:])))
	if _, err := io.ReadFull(c.br, p); err != nil {
		return 0, "", err
	}
	_, err = c.br.Discard(int(h[6]))
	return h[1], string(p), err
}

// decodePairs decodes the content of one PARAMS record, whose pairs must be whole.
func decodePairs(s string) (params []Param, err error) {
	length := func() (n int) {
		switch {
		case len(s) > 0 && s[0] < 0x80:
			n, s = int(s[0]), s[1:]
		case len(s) >= 4:
			n, s = int(binary.BigEndian.Uint32([]byte(s))&^(1<<31)), s[4:]
		default:
			err = errors.New("a length is cut")
		}
		return n
	}
	for len(s) > 0 {
		n, v := length(), length()
		if err != nil || len(s) < n+v {
			return nil, errors.New("a pair runs over into the next record")
		}
		params = append(params, Param{s[:n], s[n : n+v]})
		s = s[n+v:]
	}
	return params, nil
}

// readHead reads a request up to its body.
func (c *fakeConn) readHead() (*received, error) {
	typ, content, err := c.readRecord()
	if err != nil {
		return nil, err
	}
	if typ != 1 || len(content) != 8 || content[:2] != "\x00\x01" || content[2] > 1 {
		return nil, fmt.Errorf("BEGIN_REQUEST is %d, %x", typ, content)
	}
	r := &received{keep: content[2] == 1}
	for {
		typ, content, err := c.readRecord()
		if err != nil {
			return nil, err
		}
		if typ != 4 {
			return nil, fmt.Errorf("%d in place of PARAMS", typ)
		}
		if content == "" {
			return r, nil
		}
		pairs, err := decodePairs(content)
		if err != nil {
			return nil, err
		}
		r.params = append(r.params, pairs...)
	}
}

// readBody reads STDIN to its end.
func (c *fakeConn) readBody() (string, error) {
	var b strings.Builder
	for {
		typ, content, err := c.readRecord()
		if err != nil {
			return b.String(), err
		}
		if typ != 5 {
			return b.String(), fmt.Errorf("%d in place of STDIN", typ)
		}
		if content == "" {
			return b.String(), nil
		}
		b.WriteString(content)
	}
}

func (c *fakeConn) readRequest() (*received, error) {
	r, err := c.readHead()
	if err == nil {
		r.body, err = c.readBody()
	}
	return r, err
}

func (c *fakeConn) say(parts ...string) { io.WriteString(c, strings.Join(parts, "")) }

// serve starts a server on a unix socket, and returns a Transport to it. Both
// end with the test.
func serve(t testing.TB, f func(c *fakeConn)) (*Transport, *fakeserver.Server) {
	t.Helper()
	return serveOn(t, fakeserver.Unix(t), f)
}

func serveTCP(t testing.TB, f func(c *fakeConn)) (*Transport, *fakeserver.Server) {
	t.Helper()
	return serveOn(t, fakeserver.TCP(t), f)
}

func serveOn(t testing.TB, l net.Listener, f func(c *fakeConn)) (*Transport, *fakeserver.Server) {
	s := fakeserver.Start(t, l, func(c net.Conn, n int) { f(&fakeConn{Conn: c, br: bufio.NewReader(c), n: n}) })
	tr := &Transport{Network: s.Network, Address: s.Address, Call: with(simpleParams)}
	t.Cleanup(tr.CloseIdleConnections)
	return tr, s
}

// responding returns a handler that reads each request of a connection and sends
// the same.
func responding(parts ...string) func(c *fakeConn) {
	return func(c *fakeConn) {
		for {
			r, err := c.readRequest()
			if err != nil {
				return
			}
			c.say(parts...)
			if !r.keep {
				return
			}
		}
	}
}

func simpleParams(p *Params, r *http.Request) error {
	s := Script{Filename: "/srv/index.php", Name: "/index.php", DocumentRoot: "/srv"}
	s.AddParams(p, r)
	return nil
}

func newRequest(t testing.TB, method, body string) *http.Request {
	t.Helper()
	var b io.Reader
	if body != "" {
		b = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://example.org/index.php", b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// roundTripAll sends a request and reads its whole response.
func roundTripAll(tr http.RoundTripper, r *http.Request) (*http.Response, string, error) {
	var b strings.Builder
	resp, _, err := roundTripAllTo(&b, tr, r)
	return resp, b.String(), err
}

func roundTripAllTo(w io.Writer, tr http.RoundTripper, r *http.Request) (*http.Response, int64, error) {
	resp, err := tr.RoundTrip(r)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(w, resp.Body)
	return resp, n, err
}

// failure returns the *roundtrip.Error that every error must be.
func failure(t *testing.T, err error) *roundtrip.Error {
	t.Helper()
	var e *roundtrip.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v isn't an *roundtrip.Error", err)
	}
	return e
}

// age makes the idle connections look idle for long.
func age(tr *Transport) {
	for range tr.idle.Len() {
		if k, ok := tr.idle.Take(time.Now(), true); ok {
			k.Since = k.Since.Add(-settled)
			tr.idle.Put(k, tr.KeepAlive)
		}
	}
}

func idle(tr *Transport) int {
	return tr.idle.Len()
}

// with returns a Transport's Call that has parameters and nothing else.
func with(params func(p *Params, r *http.Request) error) func(*http.Request) *Call {
	return func(r *http.Request) *Call {
		return &Call{Params: func(p *Params) error { return params(p, r) }}
	}
}

// withList is with for parameters that are the same for each request.
func withList(list ...Param) func(*http.Request) *Call {
	return with(func(p *Params, _ *http.Request) error {
		for _, pair := range list {
			p.Add(pair.Name, pair.Value)
		}
		return nil
	})
}

// also returns a Transport's Call that is that of call with a change.
func also(call func(*http.Request) *Call, change func(c *Call, r *http.Request)) func(*http.Request) *Call {
	return func(r *http.Request) *Call {
		c := call(r)
		change(c, r)
		return c
	}
}
