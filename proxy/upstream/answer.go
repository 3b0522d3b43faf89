package upstream

import (
	"fmt"
	"io"
	"net/http"
)

// Read reads the answer's body. io.EOF says that it is whole.
func (x *exchange) Read(p []byte) (int, error) {
	x.turn.Lock()
	defer x.turn.Unlock()
	switch {
	case x.closed:
		return 0, &Error{Op: "reading the answer", Address: x.t.Address, Sent: true, Answered: true, Reused: x.reused, Err: ErrClosed}
	case x.ended != nil:
		return 0, x.ended
	}
	if len(p) == 0 {
		return 0, nil
	}
	x.armed = false
	n, err := x.readBody(p)
	if err != nil {
		err = x.finish("reading the answer", err)
	}
	return n, err
}

// readBody returns io.EOF once the end is known, be it together with the last
// bytes.
func (x *exchange) readBody(p []byte) (int, error) {
	switch x.ending {
	case atLength:
		n, err := x.br.Read(p[:min(int64(len(p)), x.left)])
		if x.left -= int64(n); x.left == 0 {
			err = io.EOF
		}
		return n, err
	case atChunk:
		return x.readChunks(p)
	}
	return x.br.Read(p)
}

func (x *exchange) readChunks(p []byte) (int, error) {
	if x.chunks == nil {
		return 0, x.readTrailer()
	}
	n, err := x.chunks.Read(p)
	switch {
	case err == io.EOF:
		x.chunks = nil
		if end, _ := x.br.Peek(min(2, x.br.Buffered())); n > 0 && string(end) != "\r\n" {
			return n, nil // the trailer may have to be waited for
		}
		return n, x.readTrailer()
	case err != nil && x.failed != nil:
		err = x.failed
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrChunked, err)
	}
	return n, err
}

// readTrailer reads what comes after the last chunk (RFC 9112, section 7.1.2).
// It returns io.EOF if that was right.
func (x *exchange) readTrailer() error {
	x.headSize = 0
	text, err := x.readLines()
	if err != nil {
		return err
	}
	h, err := parseFields(text)
	if err != nil {
		return err
	}
	for name, values := range h {
		if !trails(name) {
			continue
		}
		if x.resp.Trailer == nil {
			x.resp.Trailer = make(http.Header)
		}
		x.resp.Trailer[name] = values
	}
	return io.EOF
}

// Close ends the exchange. Unless the answer has come to its end, the connection
// is closed, by which the server knows that nobody wants the rest.
func (x *exchange) Close() error {
	if !x.turn.TryLock() {
		x.abort(ErrClosed) // makes the Read that is under way return
		x.turn.Lock()
	}
	defer x.turn.Unlock()
	if !x.finished {
		err := error(ErrClosed)
		if x.ending == atLength && int64(x.br.Buffered()) >= x.left {
			x.br.Discard(int(x.left)) // can't fail: it has come
			err = io.EOF
		}
		x.finish("reading the answer", err)
	}
	x.closed = true
	return nil
}
