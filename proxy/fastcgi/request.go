package fastcgi

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

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
	if b, err = rt.t.appendRequestParams(b, rt.call, rt.length); err != nil || !rt.isShort() {
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

// appendRequestParams appends the PARAMS records of a request to dst.
func (t *Transport) appendRequestParams(dst []byte, c *Call, length int64) ([]byte, error) {
	if c.Params == nil {
		return dst, errors.New("the call has no Params")
	}
	kept, ok := t.params.Get().(*[]Param)
	if !ok {
		kept = new([]Param)
	}
	params, err := c.Params((*kept)[:0])
	defer func() {
		clear(params)
		*kept = params[:0]
		t.params.Put(kept)
	}()
	if err != nil {
		return dst, err
	}
	announced := length == 0
	for _, p := range params {
		if p.Name != "CONTENT_LENGTH" {
			continue
		}
		// PHP reads as many bytes as are announced, whatever the records hold.
		if p.Value != strconv.FormatInt(length, 10) {
			return dst, fmt.Errorf("%w: CONTENT_LENGTH is %q, and the body has %d bytes", ErrParam, p.Value, length)
		}
		announced = true
	}
	if !announced {
		return dst, fmt.Errorf("%w: there is a body, but no CONTENT_LENGTH", ErrParam)
	}
	return appendParams(dst, params)
}
