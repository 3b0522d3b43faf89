package fastcgi

import (
	"bufio"
	"fmt"
	"io"
)

// recordReader reads the records of a server. It keeps its position when reading
// fails, so that it can go on there.
type recordReader struct {
	br      *bufio.Reader
	typ     recordType // of the current record
	content int        // bytes of it that are still to be read
	padding int        // bytes that come after
	closed  bool       // the end of STDOUT was announced
}

// next makes sure that there is content to be read, and returns its type. It
// returns io.EOF at END_REQUEST, and an error if that declines the request.
func (r *recordReader) next() (recordType, error) {
	for r.content == 0 {
		if err := r.skipPadding(); err != nil {
			return 0, err
		}
		p, err := r.br.Peek(headerSize)
		if err != nil {
			return 0, err
		}
		h, err := parseHeader(p)
		if err != nil {
			return 0, err
		}
		if h.typ == typeEnd {
			return 0, r.end(h)
		}
		r.br.Discard(headerSize) // can't fail: it was peeked
		r.typ, r.content, r.padding = h.typ, h.content, h.padding
		if h.typ == typeStdout {
			if r.closed && h.content > 0 {
				return 0, fmt.Errorf("%w: STDOUT goes on after its end", ErrProtocol)
			}
			r.closed = r.closed || h.content == 0
		}
	}
	return r.typ, nil
}

func (r *recordReader) skipPadding() error {
	for r.padding > 0 {
		n, err := r.br.Discard(r.padding)
		r.padding -= n
		if err != nil {
			return err
		}
	}
	return nil
}

// end reads END_REQUEST. Bytes that come with it, after its end, show that the
// response may not be what it seems; those that come later are found when the
// connection is used again.
func (r *recordReader) end(h recordHeader) error {
	p, err := r.br.Peek(headerSize + bodySize)
	if err != nil {
		return err
	}
	if err := parseEnd(p[headerSize:]); err != nil {
		return err
	}
	r.br.Discard(headerSize + bodySize)
	r.padding = h.padding
	if err := r.skipPadding(); err != nil {
		return err
	}
	if n := r.br.Buffered(); n > 0 {
		return fmt.Errorf("%w: %d bytes after END_REQUEST", ErrProtocol, n)
	}
	return io.EOF
}

// rest returns how many bytes of STDOUT are left, if all of them have been
// received already, and a good END_REQUEST too.
func (r *recordReader) rest() (n int64, ok bool) {
	p, _ := r.br.Peek(r.br.Buffered())
	for h := (recordHeader{typ: r.typ, content: r.content, padding: r.padding}); ; {
		if len(p) < h.content+h.padding+headerSize {
			return 0, false
		}
		if h.typ == typeStdout {
			n += int64(h.content)
		}
		p = p[h.content+h.padding:]
		var err error
		if h, err = parseHeader(p); err != nil {
			return 0, false
		}
		p = p[headerSize:]
		if h.typ == typeEnd {
			return n, len(p) == bodySize+h.padding && parseEnd(p) == nil
		}
	}
}

// peek returns content that has come, at least a byte, without consuming it.
// next has reported that there is some.
func (r *recordReader) peek() ([]byte, error) {
	if _, err := r.br.Peek(1); err != nil {
		return nil, err
	}
	return r.br.Peek(min(r.content, r.br.Buffered()))
}

// discard passes over n bytes that were peeked.
func (r *recordReader) discard(n int) {
	r.br.Discard(n)
	r.content -= n
}

// read reads content. next has reported that there is some.
func (r *recordReader) read(p []byte) (int, error) {
	n, err := r.br.Read(p[:min(len(p), r.content)])
	r.content -= n
	return n, err
}
