package upstream

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
)

// assemble reads a short body. It is done when there is a connection, so that a
// dial that fails leaves the body as it was. It reports whether there was one.
func (x *exchange) assemble() (read bool, err error) {
	if x.body == nil || !x.isShort() {
		return false, nil
	}
	b := *x.head
	n := len(b)
	b = slices.Grow(b, int(x.length))[:n+int(x.length)]
	*x.head = b
	if err := readFull(x.body, b[n:]); err != nil {
		return true, err
	}
	if err := atEnd(x.body, x.length); err != nil {
		return true, err
	}
	x.closeBody()
	if x.r.Context().Err() != nil {
		return true, x.cause()
	}
	return true, nil
}

// isShort tells whether the body is sent together with the head.
func (x *exchange) isShort() bool {
	return x.length >= 0 && x.length <= smallBody && !x.expecting
}

// sendBody writes a body in parts. Nothing that is written makes it look whole
// before its end was seen.
func (x *exchange) sendBody(body io.Reader) error {
	kept := x.t.getBuffer()
	defer x.t.putBuffer(kept)
	*kept = slices.Grow(*kept, chunkPrefix+partSize+len(chunkSuffix+lastChunk))
	buf := (*kept)[:cap(*kept)]
	if x.length < 0 {
		return x.sendChunked(body, buf)
	}
	for left := x.length; left > 0; {
		p := buf[:min(left, partSize)]
		x.reading.Store(true)
		err := readFull(body, p)
		x.reading.Store(false)
		if err != nil {
			return err
		}
		if left -= int64(len(p)); left == 0 {
			if err := atEnd(body, x.length); err != nil {
				return err
			}
			x.last.Store(true)
		}
		if _, err := x.conn.stream.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// What stands around a chunk (RFC 9112, section 7.1).
const (
	chunkPrefix = len("8000\r\n")
	chunkSuffix = "\r\n"
	lastChunk   = "0\r\n\r\n"
)

// sendChunked writes a body of unknown length, each part as soon as it is there.
func (x *exchange) sendChunked(body io.Reader, buf []byte) error {
	for empty := 0; empty < maxEmpty; empty++ {
		x.reading.Store(true)
		n, err := body.Read(buf[chunkPrefix : chunkPrefix+partSize])
		x.reading.Store(false)
		if err != nil && err != io.EOF {
			return bodyError(err)
		}
		p := buf[:0]
		if n > 0 {
			empty = 0
			p = chunk(buf, n)
		}
		if err == io.EOF {
			p = append(p, lastChunk...)
			x.last.Store(true)
		}
		if len(p) > 0 {
			if _, err := x.conn.stream.Write(p); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
	}
	return bodyError(io.ErrNoProgress)
}

// chunk makes a chunk of the n bytes that stand in buf after chunkPrefix.
func chunk(buf []byte, n int) []byte {
	var size [chunkPrefix]byte
	prefix := append(strconv.AppendInt(size[:0], int64(n), 16), "\r\n"...)
	start := chunkPrefix - copy(buf[chunkPrefix-len(prefix):], prefix)
	return append(buf[start:chunkPrefix+n], chunkSuffix...)
}

// maxEmpty is how many times in a row a body may have neither bytes nor an end. A
// reader that does so for ever is broken.
const maxEmpty = 100

// readFull fills p.
func readFull(body io.Reader, p []byte) error {
	for empty := 0; len(p) > 0; empty++ {
		n, err := body.Read(p)
		if p = p[n:]; len(p) == 0 {
			return nil
		}
		if err != nil {
			return bodyError(err)
		}
		if n > 0 {
			empty = 0
		} else if empty == maxEmpty {
			return bodyError(io.ErrNoProgress)
		}
	}
	return nil
}

// bodyError says why a request's body wasn't read to its announced end.
func bodyError(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: it is shorter than its Content-Length: %w", ErrBody, err)
	}
	return fmt.Errorf("%w: %w", ErrBody, err)
}

// atEnd checks that a body has no more than the length bytes that were read.
func atEnd(body io.Reader, length int64) error {
	var p [1]byte
	for range maxEmpty {
		n, err := body.Read(p[:])
		switch {
		case n > 0:
			return fmt.Errorf("%w: it is longer than its Content-Length, %d", ErrBody, length)
		case err == io.EOF:
			return nil
		case err != nil:
			return bodyError(err)
		}
	}
	return bodyError(io.ErrNoProgress)
}

func (x *exchange) closeBody() {
	if x.body != nil {
		x.body.Close()
		x.body = nil
	}
}

// prepare makes the head of the request.
func (x *exchange) prepare() error {
	r := x.r
	x.until, _ = r.Context().Deadline()
	x.limit = limit(x.t.ResponseTimeout, DefaultResponseTimeout)
	if x.body == http.NoBody {
		x.closeBody()
	}
	switch {
	case x.body == nil:
		x.length = 0
	case x.length <= 0:
		x.length = -1 // 0 with a body says so, too
	}
	x.asks = len(r.Header["Upgrade"]) > 0 && hasToken(r.Header["Connection"], "upgrade")
	x.expecting = x.body != nil && hasToken(r.Header["Expect"], "100-continue")
	x.head = x.t.getBuffer()
	var names [32]string
	head, err := appendHead(*x.head, r, framing{length: x.length, upgrade: x.asks, expect: x.expecting}, names[:0])
	*x.head = head
	return err
}
