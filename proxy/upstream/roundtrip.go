package upstream

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"sync"
	"time"

	"mkd/proxy/roundtrip"
	"mkd/share"
)

// roundTrip is one request and its response. After RoundTrip it is the body of the
// response.
type roundTrip struct {
	roundtrip.Trip
	t         *Transport
	r         *http.Request
	header    http.Header // of the final response, once it has come; nil: a new one
	events    roundtrip.Events
	client    netip.Prefix  // whose turn it waits for
	preface   []byte        // of a connection of its own; nil: it may take any
	uncounted bool          // it takes none of MaxConnections
	conn      *conn         // nil: none yet
	head      *[]byte       // what is sent first: the head, and a short body
	length    int64         // of the request's body in bytes; -1: unknown
	asks      bool          // for another protocol
	expecting bool          // the body waits for 100 (Continue)
	share     *share.Client // a connection is counted for it; nil: none

	// What follows belongs to whoever reads the response: RoundTrip, then Read or
	// Close, which take turns.
	turn     sync.Mutex
	resp     http.Response
	values   [12]string    // of the fields of most responses
	br       *bufio.Reader // over input
	failed   error         // what input met
	headSize int           // bytes of the heads that came
	ending   ending
	left     int64         // bytes that are missing from Content-Length
	close    bool          // the server closes the connection after it
	hint     time.Duration // how long it keeps it otherwise; less than 0: unknown
	chunks   io.Reader     // decodes the chunked coding
	finished bool          // the connection and what else was in use is given back
	ended    error         // what Read returns from now on
	closed   bool          // Close was called
}

// do sends the request, and reads the header of the response.
func (rt *roundTrip) do() (*http.Response, error) {
	rt.turn.Lock()
	defer rt.turn.Unlock()
	rt.Begin(rt.r)
	if err := rt.prepare(); err != nil {
		return nil, rt.finish("making the request", err)
	}
	if rt.Ended() {
		return nil, rt.finish("waiting for a connection", rt.Cause())
	}
	if err := rt.t.acquire(rt); err != nil {
		return nil, rt.finish("waiting for a connection", err)
	}
	for {
		if err := rt.open(); err != nil {
			return nil, rt.finish("connecting", err)
		}
		read, err := rt.assemble()
		if err != nil {
			return nil, rt.finish("reading the request", err)
		}
		if read && rt.Reused && !rt.conn.quiet() && rt.reopen() {
			continue // it was closed while the body came
		}
		rt.Start()
		op := "sending the request"
		if err = rt.send(); err == nil {
			op = "reading the header of the response"
			err = rt.readHeads()
		}
		if err == nil {
			return rt.respond()
		}
		if !rt.Reused || !roundtrip.Disconnected(err) || !rt.reopen() {
			return nil, rt.finish(op, err)
		}
	}
}

// open takes a kept connection, or makes a new one.
func (rt *roundTrip) open() error {
	var c *conn
	if rt.preface == nil {
		c = rt.t.kept(time.Now())
	}
	if c == nil {
		var err error
		if c, err = rt.t.dial(rt); err != nil {
			return err
		}
	}
	rt.br = rt.t.buffers.Reader()
	rt.br.Reset((*input)(rt))
	rt.conn, c.rt = c, rt
	rt.Open(c.Conn, &c.deadlines, c.reused)
	return nil
}

// reopen drops a connection that was found closed before anything was written. It
// reports false if something was, or if this side closed it.
func (rt *roundTrip) reopen() bool {
	if !rt.Reopen() {
		return false
	}
	rt.failed = nil
	rt.conn.rt, rt.conn = nil, nil
	rt.t.buffers.PutReader(rt.br)
	rt.br = nil
	return true
}

// respond completes the response of which the head has come.
func (rt *roundTrip) respond() (*http.Response, error) {
	resp := &rt.resp
	resp.Request = rt.r
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return rt.upgrade()
	}
	ending, err := frame(resp, rt.r.Method)
	if err != nil {
		return nil, rt.finish("reading the header of the response", err)
	}
	rt.ending, rt.left = ending, resp.ContentLength
	resp.Close = !persistent(resp) || ending == atClose
	// The header is the caller's from now on.
	rt.close, rt.hint = resp.Close, keepAlive(resp.Header)
	rt.Limit(roundtrip.Timeout(rt.t.ReadTimeout, DefaultReadTimeout))
	switch ending {
	case atHead:
		if err := rt.finish("reading the response", io.EOF); err != io.EOF {
			return nil, err
		}
		resp.Body = http.NoBody
		return resp, nil
	case atChunk:
		rt.chunks = httputil.NewChunkedReader(rt.br)
	}
	resp.Body = rt
	return resp, nil
}

// finish ends the round trip, and gives back all that it has. io.EOF means that
// the response is complete; it is returned unchanged, and other errors as a
// *roundtrip.Error.
func (rt *roundTrip) finish(op string, err error) error {
	if rt.finished {
		return rt.ended
	}
	rt.finished = true
	complete := err == io.EOF
	sent, intact := rt.End(err)
	rt.giveBack(complete && sent, intact)
	if rt.ended = err; !complete {
		rt.ended = rt.Fail(op, err)
	}
	return rt.ended
}

// giveBack keeps the connection or closes it, and gives others their turn. A
// connection on which nothing was sent, or on which both messages are complete,
// is as good as before if nothing else came.
func (rt *roundTrip) giveBack(complete, intact bool) {
	if c := rt.conn; c != nil {
		c.rt = nil
		if complete && rt.excess() {
			c.ended = true // what it sends can't be trusted any more
			rt.events.Excess()
		}
		keep := intact && !c.ended && rt.failed == nil && rt.br.Buffered() == 0
		hint := time.Duration(-1)
		if complete {
			keep = keep && !rt.close
			hint = rt.hint
		} else {
			keep = keep && !rt.Sent()
		}
		if keep && rt.preface == nil {
			rt.t.keep(c, hint)
		} else {
			c.Conn.Close()
		}
		rt.t.buffers.PutReader(rt.br)
		rt.br, rt.chunks = nil, nil
	}
	if rt.head != nil {
		rt.t.buffers.Put(rt.head)
		rt.head = nil
	}
	rt.t.release(rt.share)
	rt.t.active.Add(-1)
}

// excess reports whether bytes have come that aren't part of the response. The
// end of a long one is often read straight from the socket, so that what comes
// after it is still there.
func (rt *roundTrip) excess() bool {
	if rt.br.Buffered() > 0 {
		return true
	}
	if rt.ending != atLength || rt.resp.ContentLength <= roundtrip.ReaderSize || rt.conn.ended {
		return false
	}
	return !rt.conn.quiet() && !rt.conn.ended
}

// input is the stream from the server, up to its end if that may end a response.
type input roundTrip

func (i *input) Read(p []byte) (int, error) {
	rt := (*roundTrip)(i)
	n, err := rt.conn.stream.Read(p)
	if n > 0 {
		rt.Responded = true
	}
	if err == nil {
		return n, nil
	}
	// With TLS the end has to be announced (RFC 9112, section 9.8): anybody can
	// close the socket.
	if err != io.EOF || rt.ending != atClose || rt.conn.tls != nil && rt.conn.ended {
		err = roundtrip.ReadError(err)
	}
	rt.failed = err
	return n, err
}
