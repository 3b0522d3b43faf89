package upstream

import (
	"fmt"
	"io"
	"net/http"

	"mkd/proxy/roundtrip"
)

// Read reads the body of the response. It returns io.EOF if that is complete.
func (rt *roundTrip) Read(p []byte) (int, error) {
	rt.turn.Lock()
	defer rt.turn.Unlock()
	switch {
	case rt.closed:
		return 0, rt.failAfter("reading the response", roundtrip.ErrClosed)
	case rt.ended != nil:
		return 0, rt.ended
	}
	if len(p) == 0 {
		return 0, nil
	}
	rt.Disarm()
	n, err := rt.readBody(p)
	if err != nil {
		err = rt.finish("reading the response", err)
	}
	return n, err
}

// Received reports whether all of the body has been received, so that Read doesn't
// wait.
func (rt *roundTrip) Received() bool {
	rt.turn.Lock()
	defer rt.turn.Unlock()
	return rt.finished || rt.ending == atLength && int64(rt.br.Buffered()) >= rt.left
}

// readBody returns io.EOF once the end is known, be it together with the last
// bytes.
func (rt *roundTrip) readBody(p []byte) (int, error) {
	switch rt.ending {
	case atLength:
		n, err := rt.br.Read(p[:min(int64(len(p)), rt.left)])
		if rt.left -= int64(n); rt.left == 0 {
			err = io.EOF
		}
		return n, err
	case atChunk:
		return rt.readChunks(p)
	}
	return rt.br.Read(p)
}

func (rt *roundTrip) readChunks(p []byte) (int, error) {
	if rt.chunks == nil {
		return 0, rt.readTrailer()
	}
	n, err := rt.chunks.Read(p)
	switch {
	case err == io.EOF:
		rt.chunks = nil
		if end, _ := rt.br.Peek(min(2, rt.br.Buffered())); n > 0 && string(end) != "\r\n" {
			return n, nil // the trailer may have to be waited for
		}
		return n, rt.readTrailer()
	case err != nil && rt.failed != nil:
		err = rt.failed
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrChunked, err)
	}
	return n, err
}

// readTrailer reads what comes after the last chunk (RFC 9112, section 7.1.2).
// It returns io.EOF if that is well-formed.
func (rt *roundTrip) readTrailer() error {
	rt.headSize = 0
	text, err := rt.readLines()
	if err != nil {
		return err
	}
	h, err := roundtrip.ParseFields(text, nil, nil, false)
	if err != nil {
		return err
	}
	for name, values := range h {
		if !trails(name) {
			continue
		}
		if rt.resp.Trailer == nil {
			rt.resp.Trailer = make(http.Header)
		}
		rt.resp.Trailer[name] = values
	}
	return io.EOF
}

// Close ends the round trip. Unless the response has come to its end, the
// connection is closed, which shows the server that nobody wants the rest.
func (rt *roundTrip) Close() error {
	if !rt.turn.TryLock() {
		rt.Abort(roundtrip.ErrClosed) // makes a Read in flight return
		rt.turn.Lock()
	}
	defer rt.turn.Unlock()
	if !rt.finished {
		err := roundtrip.ErrClosed
		if rt.ending == atLength && int64(rt.br.Buffered()) >= rt.left {
			rt.br.Discard(int(rt.left)) // can't fail: it has come
			err = io.EOF
		}
		rt.finish("reading the response", err)
	}
	rt.closed = true
	return nil
}

// failAfter returns the error of something that is done when the response has
// begun and is over.
func (rt *roundTrip) failAfter(op string, err error) error {
	return &roundtrip.Error{Protocol: rt.Protocol, Address: rt.Address, Op: op, Err: err, Sent: true, Responded: true, Reused: rt.Reused}
}
