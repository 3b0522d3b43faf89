package php

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	Body       []byte
}

const (
	frameBuffer  = 8 << 10         // bytes; smaller answers are read in one piece
	callBuffer   = 8 << 10         // bytes; smaller calls are written in one piece
	stopGrace    = 5 * time.Second // for a worker that may end by itself
	termGrace    = time.Second     // between SIGTERM and SIGKILL
	maxErrorText = 64 << 10        // bytes of a script's error
)

// departure is how a worker leaves its pool.
type departure int

const (
	stay       departure = iota
	departStop           // it is in order: its calls end, and so does it
	departTerm           // it hangs: SIGTERM, then SIGKILL
	departKill           // it is broken: SIGKILL
)

// worker is a PHP process that takes calls. One goroutine at a time uses it:
// the one that started it, then those that take it from its pool.
type worker struct {
	proc   *process
	output *output
	log    *slog.Logger
	pipe   *pipe
	frames frameReader
	buf    []byte // a call on its way

	takesHTTP   bool
	reported    int64 // memory in use after the last call, in bytes
	born        time.Time
	maxRequests int64         // 0: no limit
	maxAge      time.Duration // 0: no limit

	leave chan departure // how it is to leave the pool
	gone  chan struct{}  // closed when it has left, and its place is free

	// Guarded by the pool's mutex.
	place    *place
	busy     bool      // somebody uses it
	parted   bool      // it has left
	how      departure // so
	retiring bool      // it leaves once it is idle
	ended    bool      // its process has
	since    time.Time // of being busy or idle
	requests int64
	memory   int64 // bytes
}

// startWorker starts a process, and waits until its script is ready. The
// caller has the worker then.
func (p *Pool) startWorker() (*worker, error) {
	out := newOutput(p.log)
	proc, err := newProcess(p.spawner, &p.opt, p.loop, out)
	if err != nil {
		return nil, err
	}
	w := &worker{
		proc:   proc,
		output: out,
		log:    out.log,
		pipe:   newPipe(proc.in, proc.out),
		buf:    make([]byte, 0, callBuffer),
		born:   time.Now(),
		leave:  make(chan departure, 1),
		gone:   make(chan struct{}),
		busy:   true,
	}
	w.frames.r = bufio.NewReaderSize(w.pipe, frameBuffer)
	// So that they don't all end at once.
	w.maxRequests = jitter(int64(p.opt.MaxRequests))
	w.maxAge = time.Duration(jitter(int64(p.opt.MaxAge)))
	p.processes.Go(func() { p.watch(w) })
	if err := w.boot(p.ctx, p.opt.BootTimeout); err != nil {
		p.mu.Lock()
		p.part(w, departKill)
		p.mu.Unlock()
		<-proc.exited
		p.finish(w)
		return nil, out.explain(err)
	}
	out.forgetTail()
	return w, nil
}

// jitter returns n, give or take a tenth.
func jitter(n int64) int64 {
	if n <= 0 {
		return 0
	}
	return max(1, n-n/10+rand.Int64N(n/5+1))
}

// boot waits for READY.
func (w *worker) boot(ctx context.Context, timeout time.Duration) error {
	w.pipe.begin(ctx, time.Now().Add(timeout))
	defer w.pipe.end()
	for {
		h, head, err := w.frames.next()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if ctx.Err() != nil {
				return ErrClosed
			}
			return fmt.Errorf("the script wasn't ready within %s", timeout)
		case errors.Is(err, io.ErrUnexpectedEOF):
			select { // how it ended says more than that it did
			case <-w.proc.exited:
				return fmt.Errorf("PHP ended before the script was ready: %s", w.proc.ending())
			case <-time.After(time.Second):
				return errors.New("PHP closed its descriptors before the script was ready")
			}
		case err != nil:
			return err
		}
		switch h.typ {
		case frameReady:
			w.takesHTTP = head[4]&readyHTTP != 0
			version, err := w.frames.text(64)
			if err == nil {
				w.log.Debug("worker ready", "php", version, "boot", time.Since(w.born))
			}
			return err
		case frameLog:
			if err := w.logFrame(head, 0); err != nil {
				return err
			}
		case frameError:
			text, err := w.frames.text(maxErrorText)
			if err != nil {
				return err
			}
			return errors.New(text)
		default:
			return fmt.Errorf("%w: type %02x before it was ready", errFrame, byte(h.typ))
		}
	}
}

// call has the script answer a call. It returns how the worker has to leave
// the pool, if it has to.
func (w *worker) call(ctx context.Context, c *Call, answer io.Writer, timeout time.Duration) (departure, error) {
	if ctx.Err() != nil {
		return stay, context.Cause(ctx)
	}
	if w.frames.r.Buffered() > 0 || !w.pipe.idle() {
		return departKill, &unsentError{errors.New("it died, or wrote without being asked")}
	}
	w.pipe.begin(ctx, time.Now().Add(timeout))
	defer w.pipe.end()
	id := rand.Uint64() | 1 // 0 stands for no request
	if sent, err := w.send(id, c); err != nil {
		if sent == 0 && errors.Is(err, syscall.EPIPE) {
			return departKill, &unsentError{err}
		}
		return w.failure(err)
	}
	for {
		h, head, err := w.frames.next()
		if err != nil {
			return w.failure(err)
		}
		if h.id != id {
			return w.failure(fmt.Errorf("%w: a frame of another request", errFrame))
		}
		switch h.typ {
		case frameLog:
			if err := w.logFrame(head, id); err != nil {
				return w.failure(err)
			}
		case frameEnd:
			w.reported = int64(binary.BigEndian.Uint64(head))
			return w.copyAnswer(answer, h.body)
		case frameError:
			fatal := head[0] != 0
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

// send writes the CALL frame, and returns how much of it was written.
func (w *worker) send(id uint64, c *Call) (int, error) {
	const fixed = frameHeaderSize + 16 + 2
	buf := append(w.buf[:0], make([]byte, fixed)...)
	copy(buf[frameHeaderSize:], c.Session[:])
	binary.BigEndian.PutUint16(buf[frameHeaderSize+16:], c.ClientAddr.Port())
	if addr := c.ClientAddr.Addr(); addr.IsValid() {
		buf = addr.AppendTo(buf)
	}
	h := frameHeader{typ: frameCall, head: len(buf) - frameHeaderSize, body: int64(len(c.Body)), id: id}
	h.put(buf)
	if len(buf)+len(c.Body) <= cap(buf) {
		return w.pipe.Write(append(buf, c.Body...))
	}
	n, err := w.pipe.Write(buf)
	if err != nil {
		return n, err
	}
	m, err := w.pipe.Write(c.Body)
	return n + m, err
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
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return departTerm, w.pipe.cause()
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		err = errors.New("it died during the request")
	}
	return departKill, &WorkerError{PID: w.proc.cmd.Process.Pid, Err: err}
}

// logFrame writes a LOG frame's text to the log.
func (w *worker) logFrame(head []byte, id uint64) error {
	kind := logKind(head[0])
	text, err := w.frames.text(maxLogText)
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	switch kind {
	case logWarning:
		level = slog.LevelWarn
	case logFailure:
		level = slog.LevelError
	}
	var attrs []slog.Attr
	if id != 0 {
		attrs = append(attrs, slog.String("request", fmt.Sprintf("%016x", id)))
	}
	w.output.lines(level, "php", text, attrs...)
	return nil
}
