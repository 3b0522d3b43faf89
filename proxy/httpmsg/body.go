package httpmsg

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// Body is the body of a request, in memory. It reads from the message itself, so
// that whoever reads on after the message is given back needs a copy. It isn't
// safe for use by several goroutines; Bodies of the same request are.
type Body struct {
	content *content
	off     int // how far it is read
}

// content is what all Bodies of a request share.
type content struct {
	once   sync.Once
	b      []byte
	coded  bool // b is in chunks still, which are known to be well formed
	length int  // decoded
	first  Body
}

// Bytes returns the whole body, whatever was read of it.
func (b *Body) Bytes() []byte { return b.content.bytes() }

// Len returns how many bytes are left to read.
func (b *Body) Len() int { return b.content.length - b.off }

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	if b.Len() == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.Bytes()[b.off:])
	b.off += n
	return n, nil
}

// WriteTo implements io.WriterTo, with one Write.
func (b *Body) WriteTo(w io.Writer) (int64, error) {
	if b.Len() == 0 {
		return 0, nil
	}
	want := b.Len()
	n, err := w.Write(b.Bytes()[b.off:])
	b.off += n
	if n < want && err == nil {
		err = io.ErrShortWrite
	}
	return int64(n), err
}

// Close implements io.Closer. It does nothing.
func (b *Body) Close() error { return nil }

// bytes decodes chunks when they are first needed: who wants the message as it
// came, and not the body, still has it.
func (c *content) bytes() []byte {
	c.once.Do(func() {
		if c.coded {
			c.b = joinChunks(c.b)
		}
	})
	return c.b
}

func (c *content) again() (io.ReadCloser, error) { return &Body{content: c}, nil }

func noBody() (io.ReadCloser, error) { return http.NoBody, nil }

// frame makes a body of what follows the head: all of it, and no more (RFC
// 9112, section 6.3).
func frame(r *http.Request, f Framing, rest []byte) error {
	var c *content // new for each request: who still reads it later must not read that of the next
	switch {
	case f.Chunked:
		if r.Header["Trailer"] != nil {
			return bad(0, "Trailer: trailers aren't taken")
		}
		length, err := checkChunks(rest)
		if err != nil {
			return err
		}
		c = &content{b: rest, coded: true, length: length}
		r.Header["Content-Length"] = []string{strconv.Itoa(length)}
	case f.Length > int64(len(rest)):
		return bad(0, "the body has %d bytes, and Content-Length is %d", len(rest), f.Length)
	case f.Length < int64(len(rest)) && r.Header["Content-Length"] == nil:
		return bad(0, "%d bytes follow the head: a body needs its Content-Length", len(rest))
	case f.Length < int64(len(rest)):
		return bad(0, "%d bytes follow the body: Content-Length is %d", int64(len(rest))-f.Length, f.Length)
	case len(rest) == 0:
	default:
		c = &content{b: rest, length: len(rest)}
	}
	if c == nil || c.length == 0 {
		r.Body, r.GetBody = http.NoBody, noBody
		return nil
	}
	c.setBody(r)
	return nil
}

// SetBody makes bytes, which aren't copied, the body of a request: Body, GetBody and
// ContentLength.
func SetBody(r *http.Request, b []byte) { (&content{b: b, length: len(b)}).setBody(r) }

func (c *content) setBody(r *http.Request) {
	r.ContentLength = int64(c.length)
	c.first.content = c
	r.Body, r.GetBody = &c.first, c.again
}

// checkChunks checks a chunked body that ends where b does, without extensions
// or trailers (RFC 9112, section 7.1), and returns its length decoded.
func checkChunks(b []byte) (length int, err error) {
	for number := 1; ; number++ {
		size, data, ok := cutChunkSize(b)
		switch {
		case !ok && bytes.IndexByte(b, '\n') < 0:
			return 0, bad(0, "chunk %d: the body breaks off", number)
		case !ok:
			return 0, bad(0, "chunk %d: its size is 1 to 16 hex digits and CR LF, without extensions", number)
		case size == 0 && string(data) == "\r\n":
			return length, nil
		case size == 0 && len(data) < 2:
			return 0, bad(0, "chunk %d: the body breaks off: after the last chunk comes CR LF", number)
		case size == 0 && data[0] == '\r' && data[1] == '\n':
			return 0, bad(0, "%d bytes follow the body", len(data)-2)
		case size == 0:
			return 0, bad(0, "chunk %d: trailers aren't taken", number)
		case size > uint64(len(data)):
			return 0, bad(0, "chunk %d: the body breaks off", number)
		}
		length += int(size)
		b = data[size:]
		if len(b) < 2 || b[0] != '\r' || b[1] != '\n' {
			return 0, bad(0, "chunk %d: CR LF is missing at its end", number)
		}
		b = b[2:]
	}
}

// cutChunkSize reads the line before a chunk.
func cutChunkSize(b []byte) (size uint64, data []byte, ok bool) {
	n := 0
	for n < len(b) && n < 16 {
		digit, ok := unhex(b[n])
		if !ok {
			break
		}
		size = size<<4 | uint64(digit)
		n++
	}
	if n == 0 || len(b) < n+2 || b[n] != '\r' || b[n+1] != '\n' {
		return 0, nil, false
	}
	return size, b[n+2:], true
}

// joinChunks decodes in place a body that checkChunks has found right.
func joinChunks(b []byte) []byte {
	n := 0
	for rest := b; ; {
		size, data, ok := cutChunkSize(rest)
		if !ok || size == 0 {
			return b[:n]
		}
		n += copy(b[n:], data[:size])
		rest = data[size+2:]
	}
}
