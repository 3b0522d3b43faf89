package fastcgi

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"mkd/proxy/roundtrip"
)

// Sizes in bytes.
const (
	smallBody    = 32 << 10            // a body up to here is sent together with its parameters
	chunkContent = 64<<10 - headerSize // a part of a longer body: the record has 64 KiB
)

// prepare makes what is sent first: BEGIN_REQUEST, PARAMS, and all of STDIN if the
// body is short.
func (rt *roundTrip) prepare() (err error) {
	rt.Protocol, rt.Address = "FastCGI", rt.t.Address
	rt.Limit(roundtrip.Timeout(rt.t.ResponseTimeout, DefaultResponseTimeout))
	if rt.length = rt.r.ContentLength; rt.Body() == nil {
		rt.length = 0
	}
	if rt.length < 0 {
		return ErrLengthRequired
	}
	rt.head = rt.t.buffers.Get()
	b := appendBegin(*rt.head, rt.t.KeepAlive > 0)
	defer func() { *rt.head = b }() // as it has grown
	if b, err = rt.appendParams(b); err != nil || !rt.isShort() {
		return err
	}
	if body := rt.Body(); body != nil {
		if rt.length > 0 {
			b = appendHeader(b, typeStdin, int(rt.length))
		}
		n := len(b)
		b = slices.Grow(b, int(rt.length))[:n+int(rt.length)]
		if err := rt.ReadPart(body, b[n:], rt.length, true); err != nil {
			return err
		}
		rt.CloseBody()
	}
	b = appendHeader(b, typeStdin, 0)
	return nil
}

// isShort reports whether the body is sent together with the parameters.
func (rt *roundTrip) isShort() bool { return rt.length <= smallBody }

// repeatable reports whether the request may be sent again after it was sent: by
// somebody else.
func (rt *roundTrip) repeatable() bool {
	return roundtrip.Idempotent(rt.r.Method) && (rt.isShort() || rt.r.GetBody != nil)
}

// send writes the request, or begins to. An error means that no response can
// come.
func (rt *roundTrip) send() error {
	if rt.isShort() {
		n, err := rt.Transmit(*rt.head, true)
		if err != nil && n == 0 {
			return err
		}
		rt.SetSent(err == nil, err) // the server may have responded before it closed
		return nil
	}
	body := rt.Body()
	rt.Background(false, func() error {
		if _, err := rt.Transmit(*rt.head, false); err != nil {
			return err
		}
		return rt.sendBody(body)
	})
	return nil
}

// sendBody writes a body in STDIN records. Nothing that is written makes a body
// look complete before its end was read: PHP takes it for complete once it has as
// many bytes as CONTENT_LENGTH announces.
func (rt *roundTrip) sendBody(body io.Reader) error {
	buf := rt.t.buffers.Get()
	defer rt.t.buffers.Put(buf)
	*buf = slices.Grow(*buf, 2*headerSize+chunkContent)
	for left := rt.length; left > 0; {
		n := int(min(left, chunkContent))
		left -= int64(n)
		b := appendHeader((*buf)[:0], typeStdin, n)[:headerSize+n]
		if err := rt.ReadPart(body, b[headerSize:], rt.length, left == 0); err != nil {
			return err
		}
		if left == 0 {
			b = appendHeader(b, typeStdin, 0)
		}
		if _, err := rt.Transmit(b, false); err != nil {
			return err
		}
	}
	return nil
}

// appendParams appends the PARAMS records of a request to dst.
func (rt *roundTrip) appendParams(dst []byte) ([]byte, error) {
	if rt.call.Params == nil {
		return dst, errors.New("the call has no Params")
	}
	p := &rt.params
	p.begin(dst)
	if err := rt.call.Params(p); err != nil {
		return p.b, err
	}
	// PHP reads as many bytes as are announced, whatever the records hold.
	if p.length != rt.length && (rt.length > 0 || p.length != noLength) {
		return p.b, fmt.Errorf("%w: CONTENT_LENGTH isn't %d, the length of the body", ErrParam, rt.length)
	}
	return p.finish()
}
