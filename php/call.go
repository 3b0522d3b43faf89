package php

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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
	Route      string   // named in log lines

	// Body is the message. It isn't copied.
	Body []byte
	// More, if not nil, has the rest of the message. It is read to its end
	// before the script is called, within the call's time; an error of it ends
	// the worker, and is the call's. If the call ends while a Read is under
	// way, More is closed if it is an io.Closer, which should end that Read;
	// otherwise, or if it doesn't within a second, Do returns before Read does.
	More io.Reader
}

const (
	callBuffer   = 8 << 10  // bytes; smaller calls are written in one piece
	maxErrorText = 64 << 10 // bytes of a script's error
)

// call has the script answer a call. It returns how the worker has to leave
// the pool, if it has to.
func (w *worker) call(ctx context.Context, c *Call, answer io.Writer, timeout time.Duration) (departure, error) {
	if how, err := w.usable(ctx); err != nil {
		return how, err
	}
	w.pipe.begin(ctx, time.Now().Add(timeout))
	defer w.pipe.end()
	id := rand.Uint64() | 1 // 0 stands for no request
	w.output.begin(id, c.Route)
	sent, unread := w.send(id, c)
	if unread != nil {
		if !errors.Is(unread, syscall.EPIPE) {
			return w.failure(unread)
		}
		if sent == 0 {
			return departKill, &unsentError{unread}
		}
		// It may have said why: the message was too large for its memory.
	}
	var refused error // by answer: the rest is passed over, and the worker goes on
	for {
		h, head, err := w.next(id)
		if err != nil {
			return w.failure(err)
		}
		if unread != nil && (h.typ == framePart || h.typ == frameEnd) {
			return w.failure(unread)
		}
		switch h.typ {
		case frameLog:
			if err := w.logFrame(head); err != nil {
				return w.failure(err)
			}
		case framePart:
			if how, err := w.copyAnswer(answer, h.body); err != nil && how != stay {
				return how, err
			} else if refused == nil {
				refused = err
			}
		case frameEnd:
			w.reported = int64(binary.BigEndian.Uint64(head))
			how, err := w.copyAnswer(answer, h.body)
			if how == stay && refused != nil {
				err = refused
			}
			return how, err
		case frameError:
			fatal := head[0] != 0
			if len(head) >= 9 {
				w.reported = int64(binary.BigEndian.Uint64(head[1:]))
			}
			text, err := w.frames.text(maxErrorText)
			if err != nil {
				return w.failure(err)
			}
			if fatal {
				return departStop, &ScriptError{Message: text, Fatal: true}
			}
			return stay, &ScriptError{Message: text}
		default:
			return w.failure(fmt.Errorf("%w: type %02x during a request", errFrame, byte(h.typ)))
		}
	}
}

// next returns the next frame, which must belong to a request.
func (w *worker) next(id uint64) (frameHeader, []byte, error) {
	h, head, err := w.frames.next()
	if err == nil && h.id != id {
		err = fmt.Errorf("%w: a frame of another request", errFrame)
	}
	return h, head, err
}

// ping asks the worker for a sign of life.
func (w *worker) ping(ctx context.Context, timeout time.Duration) (departure, error) {
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
	return stay, nil
}

// usable tells, before anything is sent, why a worker can't have a call.
func (w *worker) usable(ctx context.Context) (departure, error) {
	if ctx.Err() != nil { // it ended while the call waited
		return stay, &unsentError{context.Cause(ctx)}
	}
	if w.frames.r.Buffered() > 0 || w.frames.left > 0 || !w.pipe.idle() {
		return departKill, &unsentError{errors.New("it died, or wrote without being asked")}
	}
	return stay, nil
}

// send writes a call, and returns how much of it was written.
func (w *worker) send(id uint64, c *Call) (int, error) {
	if int64(len(c.Body)) > math.MaxUint32 {
		return 0, &bodyError{errors.New("the length of a frame has 4 bytes: give more than 4 GiB in parts")}
	}
	const fixed = frameHeaderSize + 1 + 16 + 2
	buf := append(w.buf[:0], make([]byte, fixed)...)
	if c.More != nil {
		buf[frameHeaderSize] = callMore
	}
	copy(buf[frameHeaderSize+1:], c.Session[:])
	binary.BigEndian.PutUint16(buf[frameHeaderSize+17:], c.ClientAddr.Port())
	if addr := c.ClientAddr.Addr(); addr.IsValid() {
		buf = addr.AppendTo(buf)
	}
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

// copyAnswer moves the body of the frame to answer. If answer doesn't take it,
// the rest is passed over, and the worker can go on.
func (w *worker) copyAnswer(answer io.Writer, n int64) (departure, error) {
	_, err := io.CopyN(answer, &w.frames, n)
	if w.frames.err == nil && w.frames.left > 0 {
		io.Copy(io.Discard, &w.frames)
	}
	if w.frames.err != nil {
		return w.failure(w.frames.err)
	}
	return stay, err
}

// failure says in the caller's terms why a call can't be brought to its end.
func (w *worker) failure(err error) (departure, error) {
	var body *bodyError
	switch {
	case errors.As(err, &body):
		return departKill, body.err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return departTerm, w.pipe.cause()
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		err = w.proc.lost("during the request", patience)
	}
	return departKill, &WorkerError{PID: w.proc.cmd.Process.Pid, Err: err}
}
