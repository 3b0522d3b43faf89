package php

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// Call is a message for a script.
type Call struct {
	ClientAddr netip.AddrPort
	Session    [16]byte // the session's token
	Route      string   // for log lines and Status
	Method     string   // of the request that the message is, for Status
	Path       string   // of it, without the query, for Status
	RequestID  string   // for log lines; default: the id that the worker knows it by

	// Client is whose turn the call waits for, as an IPv4 address or an IPv6 /64.
	// Each call with the zero Prefix counts as a client of its own.
	Client netip.Prefix

	// Body is the message. It isn't copied.
	Body []byte
	// More, if not nil, has the rest of the message. It is read to its end
	// before the script is called, within the time of the call. If it fails, the
	// worker ends, and Do returns its error. If the call ends during a Read,
	// More is closed if it is an io.Closer, which should end that Read.
	// Otherwise, or if Read doesn't return within a second, Do returns first.
	More io.Reader

	// Worker is set by Do to the process that had the call; 0: none had it.
	Worker int
}

const (
	callBuffer   = 8 << 10  // bytes; smaller calls are written in one piece
	maxErrorText = 64 << 10 // bytes of a script's error
)

// message is what is sent to a worker.
type message interface {
	// send writes the message to the worker, and returns how many bytes of what
	// comes before the parts were written.
	send(w *worker, id uint64) (int, error)
	origin() origin
	task() task
	// ended is called when a worker that worked on after the response has ended its
	// work.
	ended()
}

func (c *Call) origin() origin { return origin{c.RequestID, c.Route} }
func (c *Call) task() task     { return task{c.Client, c.Route, c.Method, c.Path} }
func (c *Call) ended()         {}

// task is what a worker does while it is busy.
type task struct {
	client              netip.Prefix // whose turn it waits for
	route, method, path string
}

// call sends a message and receives the response. It returns how the worker is
// evicted from the pool, if it must be.
func (w *worker) call(ctx context.Context, m message, resp *receiver, timeout time.Duration) (eviction, error) {
	if how, err := w.usable(ctx); err != nil {
		return how, err
	}
	w.pipe.begin(ctx, time.Now().Add(timeout))
	defer w.pipe.end()
	id := rand.Uint64() | 1 // 0 means no request
	w.message, w.id = m, id
	w.output.begin(id, m.origin())
	sent, unread := m.send(w, id)
	if unread != nil {
		if !errors.Is(unread, syscall.EPIPE) {
			return w.failure(unread)
		}
		if sent == 0 {
			return evictKill, &unsentError{unread}
		}
		// It may have sent an error: the message was too large for its memory.
	}
	resp.pipe, resp.timeout = w.pipe, timeout
	return w.receive(id, resp, unread)
}

// receive receives the frames of a response. unread is why the worker hasn't read
// the whole message, nil if it has.
func (w *worker) receive(id uint64, resp *receiver, unread error) (eviction, error) {
	for {
		h, head, err := w.next(id)
		if err != nil {
			return w.failure(err)
		}
		if unread != nil && h.typ != frameLog && h.typ != frameError {
			return w.failure(unread)
		}
		switch h.typ {
		case frameLog:
			if err := w.logFrame(head); err != nil {
				return w.failure(err)
			}
		case frameHead:
			err := resp.head(head, &w.frames)
			if err == nil {
				err = w.sendGone(id, resp)
			}
			if err != nil {
				return w.failure(err)
			}
			resp.moved()
		case framePart:
			flush := len(head) > 0 && head[0]&partFlush != 0
			err := w.copyResponse(resp, h.body, false)
			if err == nil && flush {
				resp.flush()
			}
			if err == nil {
				err = w.sendGone(id, resp)
			}
			if err != nil {
				return w.failure(err)
			}
		case frameEnd:
			how := w.ending(head)
			if err := w.copyResponse(resp, h.body, true); err != nil {
				return w.failure(err)
			}
			return how, resp.refused
		case frameError:
			return w.scriptError(head)
		default:
			return w.failure(fmt.Errorf("%w: type %02x during a request", errFrame, byte(h.typ)))
		}
	}
}

// ending reads the head of an END, and returns how the worker goes on.
func (w *worker) ending(head []byte) eviction {
	var flags byte
	if len(head) > 8 {
		flags = head[8]
	}
	if flags&endWorks != 0 {
		return worksOn
	}
	w.memoryUsed = int64(binary.BigEndian.Uint64(head))
	if flags&endExits != 0 {
		return evictStop
	}
	return keep
}

// scriptError reads an ERROR, and returns how the worker goes on.
func (w *worker) scriptError(head []byte) (eviction, error) {
	kind := head[0]
	if len(head) >= 9 {
		w.memoryUsed = int64(binary.BigEndian.Uint64(head[1:]))
	}
	text, err := w.frames.text(maxErrorText)
	if err != nil {
		return w.failure(err)
	}
	switch kind {
	case errorGoesOn:
		return keep, &ScriptError{Message: text}
	case errorWorks:
		return worksOn, &ScriptError{Message: text}
	}
	return evictStop, &ScriptError{Message: text, Fatal: true}
}

// next returns the next frame, which must belong to a request.
func (w *worker) next(id uint64) (frameHeader, []byte, error) {
	h, head, err := w.frames.next()
	if err == nil && h.id != id {
		err = fmt.Errorf("%w: a frame of another request", errFrame)
	}
	return h, head, err
}

// ping checks that the worker responds.
func (w *worker) ping(ctx context.Context, timeout time.Duration) (eviction, error) {
	if how, err := w.usable(ctx); err != nil {
		return how, err
	}
	w.pipe.begin(ctx, time.Now().Add(timeout))
	defer w.pipe.end()
	id := rand.Uint64() | 1
	var frame [frameHeaderSize]byte
	(&frameHeader{typ: framePing, id: id}).put(frame[:])
	if _, err := w.pipe.Write(frame[:]); err != nil {
		return w.failure(err)
	}
	h, _, err := w.next(id)
	if err == nil && h.typ != framePong {
		err = fmt.Errorf("%w: type %02x for a PONG", errFrame, byte(h.typ))
	}
	if err != nil {
		return w.failure(err)
	}
	return keep, nil
}

// usable returns, before anything is sent, why a worker can't serve a call.
func (w *worker) usable(ctx context.Context) (eviction, error) {
	if ctx.Err() != nil { // it ended while the call waited
		return keep, &unsentError{context.Cause(ctx)}
	}
	if w.frames.r.Buffered() > 0 || w.frames.left > 0 || !w.pipe.idle() {
		return evictKill, &unsentError{errors.New("it died or wrote without a request")}
	}
	return keep, nil
}

// send implements message.
func (c *Call) send(w *worker, id uint64) (int, error) {
	if int64(len(c.Body)) > math.MaxUint32 {
		return 0, &bodyError{errors.New("the length of a frame has 4 bytes: send more than 4 GiB in parts")}
	}
	var flags byte
	if c.More != nil {
		flags = callMore
	}
	buf := appendCallHead(w.buf[:0], flags, &c.Session, c.ClientAddr)
	h := frameHeader{typ: frameCall, head: len(buf) - frameHeaderSize, body: int64(len(c.Body)), id: id}
	h.put(buf)
	var n int
	var err error
	if len(buf)+len(c.Body) <= cap(buf) {
		n, err = w.pipe.Write(append(buf, c.Body...))
	} else if n, err = w.pipe.Write(buf); err == nil {
		var m int
		m, err = w.pipe.Write(c.Body)
		n += m
	}
	if err != nil || c.More == nil {
		return n, err
	}
	return n, w.sendMore(id, c.More)
}

// appendCallHead appends room for a frame's header, and the head of a call.
func appendCallHead(buf []byte, flags byte, session *[16]byte, client netip.AddrPort) []byte {
	var header [frameHeaderSize]byte
	buf = append(buf, header[:]...)
	buf = append(buf, flags)
	buf = append(buf, session[:]...)
	buf = binary.BigEndian.AppendUint16(buf, client.Port())
	if addr := client.Addr(); addr.IsValid() {
		buf = addr.AppendTo(buf)
	}
	return buf
}

// sendGone sends the worker, once, that the rest of its response is dropped.
func (w *worker) sendGone(id uint64, resp *receiver) error {
	if !resp.unwanted() || resp.gone {
		return nil
	}
	resp.gone = true
	var frame [frameHeaderSize]byte
	(&frameHeader{typ: frameGone, id: id}).put(frame[:])
	_, err := w.pipe.Write(frame[:])
	return err
}

// copyResponse copies the body of a frame to the response. What the response
// refuses is dropped, and the worker goes on. The error is the worker's.
func (w *worker) copyResponse(resp *receiver, size int64, last bool) error {
	known := resp.excess
	n, err := resp.due(size, last)
	if err != nil {
		return err
	}
	if resp.excess && !known {
		w.output.Write(slog.LevelWarn, "the body is longer than its Content-Length; the rest is dropped")
	}
	if n > 0 && n <= int64(w.frames.r.Buffered()) { // most are this short
		p, _ := w.frames.r.Peek(int(n))
		_, err := resp.writer().Write(p)
		w.frames.r.Discard(int(n))
		w.frames.left -= n
		resp.refuse(err)
	} else if n > 0 {
		_, err := io.CopyN(resp.writer(), &w.frames, n)
		resp.refuse(err)
	}
	if w.frames.err == nil && w.frames.left > 0 {
		io.Copy(io.Discard, &w.frames)
	}
	return w.frames.err
}

// failure returns the error of a call that can't be completed, and how the worker
// is evicted.
func (w *worker) failure(err error) (eviction, error) {
	var body *bodyError
	switch {
	case errors.As(err, &body):
		return evictKill, body.err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return evictTerm, w.pipe.cause()
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		err = w.proc.exitReason("during the request", patience)
	}
	return evictKill, &WorkerError{PID: w.proc.PID, Err: err}
}
