package php

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"mkd/php/internal/process"
)

const frameBuffer = 8 << 10 // bytes; smaller answers are read in one piece

// worker is a PHP process that takes calls. One goroutine at a time uses it:
// the one that started it, then those that take it from its pool.
type worker struct {
	proc   *phpProcess
	output *output
	log    *slog.Logger
	pipe   *pipe
	frames frameReader
	buf    []byte // a call on its way

	generation int // of the pool, when it started
	takesHTTP  bool
	php        string // its version
	reported   int64  // memory in use after the last call, in bytes
	born       time.Time
	stuck      *atomic.Int64 // of the pool

	// It is replaced after so many requests, and that age; then it goes on
	// until the new one is ready, but not beyond mostRequests. 0: no limit.
	maxRequests, mostRequests int64
	maxAge                    time.Duration

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
func (p *Pool) startWorker(generation int) (*worker, error) {
	out := newOutput(p.log)
	proc, err := p.startProcess(out.Output)
	if err != nil {
		return nil, err
	}
	w := &worker{
		proc:   proc,
		output: out,
		log:    out.Log(),
		pipe:   newPipe(proc.in, proc.out),
		buf:    make([]byte, 0, callBuffer),
		born:   time.Now(),
		leave:  make(chan departure, 1),
		gone:   make(chan struct{}),
		busy:   true,

		generation: generation,
		stuck:      &p.stuck,
	}
	w.frames.r = bufio.NewReaderSize(w.pipe, frameBuffer)
	// So that they don't all end at once.
	n := int64(p.opt.MaxRequests)
	w.maxRequests, w.mostRequests = process.Jitter(n), n+n/10
	w.maxAge = time.Duration(process.Jitter(int64(p.opt.MaxAge)))
	p.processes.Go(func() { p.watch(w) })
	if err := w.boot(p.ctx, p.opt.BootTimeout); err != nil {
		p.mu.Lock()
		p.part(w, departKill)
		p.mu.Unlock()
		<-proc.Exited()
		proc.AwaitOutput()
		p.finish(w)
		return nil, out.explain(err)
	}
	out.ForgetTail()
	return w, nil
}

// old reports whether it is time to replace a worker that is in order.
func (w *worker) old() bool {
	return w.maxRequests > 0 && w.requests >= w.maxRequests || w.maxAge > 0 && time.Since(w.born) >= w.maxAge
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
			case <-w.proc.Exited():
				return fmt.Errorf("PHP ended before the script was ready: %s", w.proc.Ending())
			case <-time.After(time.Second):
				return errors.New("PHP closed its descriptors before the script was ready")
			}
		case err != nil:
			return err
		}
		switch h.typ {
		case frameReady:
			w.takesHTTP = head[4]&readyHTTP != 0
			w.php, err = w.frames.text(64)
			return err
		case frameLog:
			if err := w.logFrame(head); err != nil {
				return err
			}
		case frameError:
			text, err := w.frames.text(maxErrorText)
			if err != nil {
				return err
			}
			w.output.fatal = true
			return errors.New(text)
		default:
			return fmt.Errorf("%w: type %02x before it was ready", errFrame, byte(h.typ))
		}
	}
}

// logFrame writes a LOG frame's text to the log.
func (w *worker) logFrame(head []byte) error {
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
	w.output.Write(level, text)
	return nil
}
