package roundtrip

import (
	"errors"
	"fmt"
	"io"
)

// maxEmpty is how many times in a row a body may have neither bytes nor an end. A
// reader that does so for ever is broken.
const maxEmpty = 100

// ReadPart fills p with the next part of a body of so many bytes. If it is the
// last one, the body has to end after it.
func (t *Trip) ReadPart(body io.Reader, p []byte, length int64, last bool) error {
	t.reading.Store(true)
	defer t.arrived()
	if err := readFull(body, p); err != nil || !last {
		return err
	}
	if err := atEnd(body, length); err != nil {
		return err
	}
	t.last.Store(true)
	return nil
}

// ReadSome reads the next part of a body of unknown length, at least a byte or
// the end, which is io.EOF; together with a part it is reported by last.
func (t *Trip) ReadSome(body io.Reader, p []byte) (n int, last bool, err error) {
	t.reading.Store(true)
	defer t.arrived()
	for range maxEmpty {
		n, err := body.Read(p)
		switch {
		case err == io.EOF:
			t.last.Store(true)
			return n, true, nil
		case err != nil:
			return n, false, bodyError(err)
		case n > 0:
			return n, false, nil
		}
	}
	return 0, false, bodyError(io.ErrNoProgress)
}

// arrived ends a wait for the body. From now on the server is waited for.
func (t *Trip) arrived() {
	t.progressed()
	t.reading.Store(false)
}

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

// bodyError reports why a request's body wasn't read to its announced end.
func bodyError(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: it is shorter than its Content-Length: %w", ErrBody, err)
	}
	return fmt.Errorf("%w: %w", ErrBody, err)
}
