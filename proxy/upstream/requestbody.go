package upstream

import (
	"io"
	"slices"
	"strconv"
	"time"

	"mkd/httpfield"
	"mkd/proxy/roundtrip"
)

// Sizes in bytes.
const (
	smallBody = 64 << 10 // a body up to here is sent together with its head
	partSize  = 32 << 10 // a part of a longer body
	tlsRecord = 16 << 10 // what is written over TLS as one record
)

// continueWait is how long a server may take to ask for a body that waits for it.
const continueWait = time.Second

// prepare makes the head of the request.
func (rt *roundTrip) prepare() error {
	r := rt.r
	rt.Protocol, rt.Address = "HTTP", rt.t.Address
	rt.Limit(roundtrip.Timeout(rt.t.ResponseTimeout, DefaultResponseTimeout))
	switch rt.length = r.ContentLength; {
	case rt.Body() == nil:
		rt.length = 0
	case rt.length <= 0:
		rt.length = -1 // as 0 with a body means, too
	}
	rt.asks = len(r.Header["Upgrade"]) > 0 && httpfield.HasItem(r.Header["Connection"], "upgrade")
	rt.expecting = rt.Body() != nil && httpfield.HasItem(r.Header["Expect"], "100-continue")
	rt.head = rt.t.buffers.Get()
	var names [32]string
	head, err := appendHead(*rt.head, r, framing{length: rt.length, upgrade: rt.asks, expect: rt.expecting}, names[:0])
	*rt.head = head
	return err
}

// isShort reports whether the body is sent together with the head.
func (rt *roundTrip) isShort() bool {
	return rt.length >= 0 && rt.length <= smallBody && !rt.expecting
}

// assemble reads a short body. It does so when there is a connection, so that a
// dial that fails leaves the body as it was. It reports whether there was one.
func (rt *roundTrip) assemble() (read bool, err error) {
	body := rt.Body()
	if body == nil || !rt.isShort() {
		return false, nil
	}
	b := *rt.head
	n := len(b)
	b = slices.Grow(b, int(rt.length))[:n+int(rt.length)]
	*rt.head = b
	if err := rt.ReadPart(body, b[n:], rt.length, true); err != nil {
		return true, err
	}
	rt.CloseBody()
	if rt.Ended() {
		return true, rt.Cause()
	}
	return true, nil
}

// send writes the request, or begins to. An error means that no response can
// come.
func (rt *roundTrip) send() error {
	short := rt.isShort()
	if !rt.expecting && (!short || rt.conn.tls != nil && len(*rt.head) > tlsRecord) {
		rt.sendInBackground(*rt.head, !short)
		return nil
	}
	if rt.expecting {
		rt.Remind(time.Now().Add(continueWait), rt.startBody)
	}
	_, err := rt.conn.stream.Write(*rt.head)
	if err != nil && !rt.Sent() {
		return err
	}
	rt.SetSent(short && err == nil, err) // the server may have responded before it closed
	return nil
}

// startBody sends the body that waited for 100 (Continue).
func (rt *roundTrip) startBody() {
	rt.expecting = false
	if rt.InBackground() || rt.SendError() == nil {
		rt.sendInBackground(nil, true)
	}
}

// sendInBackground writes head, and then the body if that isn't part of it.
func (rt *roundTrip) sendInBackground(head []byte, withBody bool) {
	body := rt.Body()
	rt.Background(!withBody, func() (err error) {
		if len(head) > 0 {
			_, err = rt.conn.stream.Write(head)
		}
		if err == nil && withBody {
			err = rt.sendBody(body)
		}
		return err
	})
}

// sendBody writes a body in parts. Nothing that is written makes it look complete
// before its end was read.
func (rt *roundTrip) sendBody(body io.Reader) error {
	kept := rt.t.buffers.Get()
	defer rt.t.buffers.Put(kept)
	*kept = slices.Grow(*kept, chunkPrefix+partSize+len(chunkSuffix+lastChunk))
	buf := (*kept)[:cap(*kept)]
	if rt.length < 0 {
		return rt.sendChunked(body, buf)
	}
	for left := rt.length; left > 0; {
		p := buf[:min(left, partSize)]
		left -= int64(len(p))
		if err := rt.ReadPart(body, p, rt.length, left == 0); err != nil {
			return err
		}
		if _, err := rt.conn.stream.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// What surrounds a chunk (RFC 9112, section 7.1).
const (
	chunkPrefix = len("8000\r\n")
	chunkSuffix = "\r\n"
	lastChunk   = "0\r\n\r\n"
)

// sendChunked writes a body of unknown length, each part as soon as it is there.
func (rt *roundTrip) sendChunked(body io.Reader, buf []byte) error {
	for {
		n, last, err := rt.ReadSome(body, buf[chunkPrefix:chunkPrefix+partSize])
		if err != nil {
			return err
		}
		p := buf[:0]
		if n > 0 {
			p = chunk(buf, n)
		}
		if last {
			p = append(p, lastChunk...)
		}
		if _, err := rt.conn.stream.Write(p); err != nil || last {
			return err
		}
	}
}

// chunk makes a chunk of the n bytes in buf after chunkPrefix.
func chunk(buf []byte, n int) []byte {
	var size [chunkPrefix]byte
	prefix := append(strconv.AppendInt(size[:0], int64(n), 16), "\r\n"...)
	start := chunkPrefix - copy(buf[chunkPrefix-len(prefix):], prefix)
	return append(buf[start:chunkPrefix+n], chunkSuffix...)
}
