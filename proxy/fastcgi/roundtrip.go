package fastcgi

import (
	"errors"
	"io"
	"net/http"
	"sync"

	"mkd/proxy/roundtrip"
)

// roundTrip is one request and its response. After RoundTrip it is the body of the
// response.
type roundTrip struct {
	roundtrip.Trip
	t      *Transport
	r      *http.Request
	call   *Call
	conn   *conn   // nil: none yet
	head   *[]byte // what is sent first
	params Params
	length int64 // of the request's body in bytes

	// What follows belongs to whoever reads the response: RoundTrip, then Read or
	// Close, which take turns.
	turn     sync.Mutex
	records  recordReader // over input
	values   [12]string   // of the fields of most responses
	stderr   lines
	bodyless bool  // the response has no body, whatever the server sends
	left     int64 // bytes that are missing from Content-Length; less than 0: unknown
	excess   int   // bytes beyond it
	noWait   bool  // input fails rather than wait
	ended    error // what Read returns from now on
}

// errWait reports that more would have to be waited for, and noWait forbids it.
var errWait = errors.New("nothing has come yet")

// do connects, sends the request, and reads the header of the response.
func (rt *roundTrip) do() (*http.Response, error) {
	rt.turn.Lock()
	defer rt.turn.Unlock()
	rt.Begin(rt.r)
	if err := rt.prepare(); err != nil {
		return nil, rt.finish("making the request", err)
	}
	if rt.Ended() {
		return nil, rt.finish("connecting", rt.Cause())
	}
	c, reused, err := rt.t.connect(rt)
	if err != nil {
		return nil, rt.finish("connecting", err)
	}
	return rt.on(c, reused)
}

// on sends the request on a connection, and reads the header of the response.
func (rt *roundTrip) on(c *conn, reused bool) (*http.Response, error) {
	rt.conn = c
	rt.Open(c.Conn, &c.deadlines, reused)
	rt.records.br = rt.t.buffers.Reader()
	rt.records.br.Reset((*input)(rt))
	rt.stderr = lines{f: rt.call.Stderr}
	rt.Start()
	if err := rt.send(); err != nil {
		return nil, rt.finish("sending the request", err)
	}
	resp, err := rt.readHeader()
	if err != nil {
		return nil, rt.finish("reading the header of the response", err)
	}
	rt.Limit(roundtrip.Timeout(rt.t.ReadTimeout, DefaultReadTimeout))
	resp.Body = rt
	if !rt.bodyless && rt.left < 0 {
		// PHP seldom sets the length. If the end has come it is known, and nobody
		// needs to pass the response on piece by piece.
		if n, ok := rt.records.rest(); ok {
			rt.left, resp.ContentLength = n, n
		}
	}
	if rt.bodyless {
		// Mostly the end has come with the header: then the connection is free
		// even if nobody reads this body.
		if err := rt.skipWithoutWaiting(); err != errWait {
			if err := rt.finish("reading the response", err); err != io.EOF {
				return nil, err
			}
			resp.Body = http.NoBody
		}
	}
	return resp, nil
}

// Read reads the body of the response. It returns io.EOF if that is complete.
func (rt *roundTrip) Read(p []byte) (int, error) {
	rt.turn.Lock()
	defer rt.turn.Unlock()
	if rt.ended != nil {
		return 0, rt.ended
	}
	if len(p) == 0 {
		return 0, nil
	}
	rt.Disarm()
	n, err := rt.readBody(p)
	if err != nil {
		return n, rt.finish("reading the response", err)
	}
	return n, nil
}

// Received reports whether all of the response has been received, so that Read
// doesn't wait.
func (rt *roundTrip) Received() bool {
	rt.turn.Lock()
	defer rt.turn.Unlock()
	if rt.ended != nil {
		return true
	}
	_, ok := rt.records.rest()
	return ok
}

func (rt *roundTrip) readBody(p []byte) (int, error) {
	for rt.bodyless {
		if err := rt.skipStdout(); err != nil {
			return 0, err
		}
		rt.Disarm()
	}
	if err := rt.awaitStdout(); err != nil {
		if err == io.EOF && rt.left > 0 {
			return 0, errShort
		}
		return 0, err
	}
	if rt.left == 0 {
		return 0, rt.dropExcess()
	}
	if rt.left > 0 && int64(len(p)) > rt.left {
		p = p[:rt.left]
	}
	n, err := rt.records.read(p)
	if rt.left > 0 {
		rt.left -= int64(n)
	}
	return n, err
}

// maxExcess is how many bytes beyond the Content-Length are read to reach the end
// of the script. If there are more, its end isn't waited for.
const maxExcess = 1 << 20

// dropExcess passes over what comes after Content-Length bytes, and returns io.EOF
// at the end. awaitStdout has reported that there is some: a file that readfile
// sends is often followed by the line end after ?>.
func (rt *roundTrip) dropExcess() error {
	if rt.call.Events != nil {
		rt.call.Events.Excess()
	}
	for rt.excess < maxExcess {
		p, err := rt.records.peek()
		if err != nil {
			return err
		}
		rt.records.discard(len(p))
		rt.excess += len(p)
		rt.Disarm()
		if err := rt.awaitStdout(); err != nil {
			return err
		}
	}
	return io.EOF
}

// awaitStdout reads records until there is content of STDOUT to be read. It
// returns io.EOF at END_REQUEST.
func (rt *roundTrip) awaitStdout() error {
	for {
		typ, err := rt.records.next()
		if err != nil {
			return err
		}
		switch typ {
		case typeStdout:
			return nil
		case typeStderr:
			p, err := rt.records.peek()
			if err != nil {
				return err
			}
			rt.stderr.write(p)
			rt.records.discard(len(p))
		}
	}
}

// skipStdout passes over what has come of STDOUT.
func (rt *roundTrip) skipStdout() error {
	if err := rt.awaitStdout(); err != nil {
		return err
	}
	p, err := rt.records.peek()
	rt.records.discard(len(p))
	return err
}

// skipWithoutWaiting passes over what has been received already. It returns
// errWait if the end isn't among it.
func (rt *roundTrip) skipWithoutWaiting() error {
	rt.noWait = true
	defer func() { rt.noWait = false }()
	for {
		if err := rt.skipStdout(); err != nil {
			return err
		}
	}
}

// Close ends the round trip. Unless the response is complete, and all of it has
// come, the connection is closed, which shows PHP that nobody wants the rest.
func (rt *roundTrip) Close() error {
	if !rt.turn.TryLock() {
		rt.Abort(roundtrip.ErrClosed) // makes a Read in flight return
		rt.turn.Lock()
	}
	defer rt.turn.Unlock()
	if rt.ended == nil {
		err := rt.skipWithoutWaiting()
		if err == errWait {
			err = roundtrip.ErrClosed
		}
		rt.finish("reading the response", err)
	}
	rt.ended = &roundtrip.Error{Protocol: rt.Protocol, Address: rt.Address, Op: "reading the response", Err: roundtrip.ErrClosed, Sent: true, Responded: true, Reused: rt.Reused}
	return nil
}

// finish ends the round trip, and gives back all that it has. io.EOF means that
// the response is complete; it is returned unchanged, and other errors as a
// *roundtrip.Error.
func (rt *roundTrip) finish(op string, err error) error {
	sent, intact := rt.End(err)
	if rt.conn != nil {
		if err == io.EOF && sent && intact && rt.excess == 0 && rt.t.KeepAlive > 0 {
			rt.t.keep(rt.conn)
		} else {
			rt.conn.Discard()
		}
		rt.stderr.close()
		rt.t.buffers.PutReader(rt.records.br)
		rt.records.br = nil
	}
	if rt.head != nil {
		rt.t.buffers.Put(rt.head)
		rt.head = nil
	}
	if rt.ended = err; err != io.EOF {
		rt.ended = rt.Fail(op, err)
	}
	return rt.ended
}

// input is the stream from the server.
type input roundTrip

func (i *input) Read(p []byte) (int, error) {
	rt := (*roundTrip)(i)
	if rt.noWait {
		return 0, errWait
	}
	n, err := rt.Receive(p)
	if n > 0 {
		rt.Responded = true
		return n, nil
	}
	if err != nil {
		err = roundtrip.ReadError(err) // END_REQUEST ends a response, and nothing else
	}
	return 0, err
}
