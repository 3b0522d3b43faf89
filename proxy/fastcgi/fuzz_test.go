package fastcgi

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"mkd/proxy/roundtrip"
)

// cannedConn is a connection on which a server has sent all it will.
type cannedConn struct {
	net.Conn
	r io.Reader
}

func (c *cannedConn) Read(p []byte) (int, error)       { return c.r.Read(p) }
func (c *cannedConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *cannedConn) Close() error                     { return nil }
func (c *cannedConn) SetDeadline(time.Time) error      { return nil }
func (c *cannedConn) SetReadDeadline(time.Time) error  { return nil }
func (c *cannedConn) SetWriteDeadline(time.Time) error { return nil }

// responseOf returns what a Transport makes of a server's bytes.
func responseOf(tr *Transport, method string, r io.Reader) (*http.Response, []byte, error) {
	req, err := http.NewRequest(method, "http://example.org/", nil)
	if err != nil {
		return nil, nil, err
	}
	rt := &roundTrip{t: tr, r: req, call: tr.Call(req), left: -1}
	rt.Begin(req)
	if err := rt.prepare(); err != nil {
		return nil, nil, err
	}
	resp, err := rt.on(newConn(&cannedConn{r: r}), false)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

// stdoutOf reads records in the plainest way. It returns what STDOUT held, and
// whether END_REQUEST completed it; rest is what comes after.
func stdoutOf(data []byte) (out, rest []byte, whole bool) {
	for len(data) >= 8 {
		typ, n, padding := data[1], int(binary.BigEndian.Uint16(data[4:])), int(data[6])
		if data[0] != 1 || binary.BigEndian.Uint16(data[2:]) != 1 || len(data) < 8+n+padding {
			return out, data, false
		}
		content := data[8 : 8+n]
		data = data[8+n+padding:]
		switch typ {
		case 3:
			return out, data, n == 8 && content[4] == 0
		case 6:
			out = append(out, content...)
		case 7:
		default:
			return out, data, false
		}
	}
	return out, data, false
}

// FuzzResponse feeds a server's bytes to the client. What it takes for a whole
// response must be one, and it mustn't matter in which pieces the bytes come.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		stdout(okHeader+"text") + end(0),
		stderr("note\n") + record(1, 6, 1, "Status: 404\r\n", 5) + stdout("A: b\n\nbo") + stdout("dy") + stdout("") + end(0),
		stdout("Content-Length: 4\r\n\r\ntext") + end(0),
		stdout("Content-Length: 5\r\n\r\ntext") + end(0),
		stdout("Content-Length: 3\r\n\r\ntext") + end(0),
		stdout("Content-Length: 3\r\n\r\ntex") + stderr("x") + stdout("t\n") + stdout("") + end(0),
		stdout("Location: /\r\n\r\n") + record(1, 3, 1, "\x00\x00\x00\x09\x00xyz", 7),
		stdout("Status: 204\r\n\r\n") + end(0) + "x",
		stdout(okHeader), end(0), end(2), stdout(okHeader) + stdout("") + stdout("x") + end(0),
		record(1, 6, 2, okHeader, 0), record(2, 6, 1, okHeader, 0), "HTTP/1.1 200 OK\r\n\r\n",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	excess := false
	tr := &Transport{Call: also(with(simpleParams), func(c *Call, _ *http.Request) {
		c.Stderr, c.Events = func(string) {}, excessFunc(func() { excess = true })
	})}
	f.Fuzz(func(t *testing.T, data []byte, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		excess = false
		resp, body, err := responseOf(tr, method, bytes.NewReader(data))
		out, rest, whole := stdoutOf(data)
		if err == nil {
			if !whole || len(rest) > 0 {
				t.Fatalf("taken for whole: %q", data)
			}
			bodyless := head || resp.StatusCode < 200 || resp.StatusCode == 204 || resp.StatusCode == 304
			if bodyless && len(body) > 0 || !bodyless && !bytes.HasSuffix(out, body) && !(excess && bytes.Contains(out, body)) {
				t.Fatalf("body %q of %q", body, out)
			}
			if !bodyless && resp.ContentLength >= 0 && resp.ContentLength != int64(len(body)) {
				t.Fatalf("a length of %d and %d bytes", resp.ContentLength, len(body))
			}
		} else {
			var e *roundtrip.Error
			if !errors.As(err, &e) || errors.Is(err, io.EOF) || e.Responded != (len(data) > 0) {
				t.Fatalf("error %#v", err)
			}
		}
		if whole && len(data) > len(rest) {
			data = data[:len(data)-len(rest)] // what comes after in time is seen later
		}
		resp, body, err = responseOf(tr, method, bytes.NewReader(data))
		resp2, body2, err2 := responseOf(tr, method, iotest.OneByteReader(bytes.NewReader(data)))
		if (err == nil) != (err2 == nil) || err == nil && (!bytes.Equal(body, body2) || !reflect.DeepEqual(resp.Header, resp2.Header)) {
			t.Fatalf("at once %q, %v; byte by byte %q, %v", body, err, body2, err2)
		}
	})
}

// FuzzHeader reads headers of responses. What is taken must be what net/textproto
// takes it for.
func FuzzHeader(f *testing.F) {
	for _, seed := range []string{
		"Content-Type: text/html\r\n", "Status: 404 Not Found\nA: b\n", "A:\r\na: b\r\nA: c\r\n", "Content-Length: 12\r\n", "A: b\r\n c\r\n",
		"A: b\rc\r\n", "A : b\r\n", ": b\r\n", "Status: 99\r\n", "Location: /\r\n", "A: \xff\x00\r\n", "Status: 200\r\nStatus: 200\r\n", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !strings.HasSuffix(text, "\n") {
			text += "\n" // as the reader of lines sees to
		}
		h, err := roundtrip.ParseFields(text, nil, nil, true)
		if err != nil {
			if !errors.Is(err, roundtrip.ErrHeader) {
				t.Fatal(err)
			}
			return
		}
		want, err := textproto.NewReader(bufio.NewReader(strings.NewReader(text + "\n"))).ReadMIMEHeader()
		if err != nil || !reflect.DeepEqual(http.Header(want), h) {
			t.Fatalf("%q is %q, and %q (%v) to net/textproto", text, h, want, err)
		}
		code, _, err := takeStatus(h)
		if err == nil && (code < 100 || code > 999 || code == 101) {
			t.Fatalf("status %d", code)
		}
		if n, err := roundtrip.ContentLength(h, true); err == nil && n < -1 {
			t.Fatalf("length %d", n)
		}
	})
}
