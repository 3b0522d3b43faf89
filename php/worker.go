package php

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"mkd/php/internal/process"
)

const frameBuffer = 8 << 10 // bytes; smaller responses are read in one piece

// worker is a PHP process that serves calls. One goroutine at a time uses it:
// the one that started it, then those that acquire it from the pool.
type worker struct {
	proc   *phpProcess
	output *output
	log    *slog.Logger
	pipe   *pipe
	frames frameReader
	buf    []byte // a call to be sent

	generation int // of the pool, when it started
	takesHTTP  bool

	partsPerForm int     // fields and files that a form may have
	php          string  // its version
	memoryUsed   int64   // bytes after the last call
	message      message // of the last call
	id           uint64  // of the last call
	born         time.Time
	stuck        *atomic.Int64 // of the pool
	leaks        *leakBook     // of the pool

	// The worker expires after maxRequests or at maxAge. It goes on until its
	// replacement is ready, but not beyond mostRequests. 0: no limit.
	maxRequests, mostRequests int64
	maxAge                    time.Duration

	evictions chan eviction // gets one
	done      chan struct{} // closed when it is evicted and its slot is free

	// Guarded by the pool's mutex.
	slot       *slot
	busy       bool // somebody uses it
	worksOn    bool // its client has the response, and it works on
	evicted    bool
	how        eviction
	draining   bool // it is evicted once it is idle
	drainedFor Ending
	task       task      // what it does while it is busy
	exited     bool      // its process has ended
	since      time.Time // when it became busy or idle
	requests   int64
	memory     int64 // bytes
}

// startWorker starts a process and waits until its script is ready. The worker is
// busy: the caller uses it.
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
		busy:   true,

		evictions:  make(chan eviction, 1),
		done:       make(chan struct{}),
		generation: generation,
		stuck:      &p.stuck,
		leaks:      &p.leaks,
	}
	w.frames.r = bufio.NewReaderSize(w.pipe, frameBuffer)
	// Workers that start together don't end together.
	n := int64(p.opt.MaxRequests)
	w.maxRequests, w.mostRequests = process.Jitter(n), n+n/10
	w.maxAge = time.Duration(process.Jitter(int64(p.opt.MaxAge)))
	p.processes.Go(func() { p.supervise(w) })
	if err := w.boot(p.ctx, p.opt.BootTimeout); err != nil {
		p.mu.Lock()
		p.evict(w, evictKill, EndedBoot)
		p.mu.Unlock()
		<-proc.Exited()
		proc.AwaitOutput()
		p.discard(w)
		return nil, out.explain(err)
	}
	out.ForgetTail()
	return w, nil
}

// expired reports whether it is time to replace a worker that works.
func (w *worker) expired() bool {
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
			return fmt.Errorf("the script wasn't ready within %s: if it needs longer, raise boot_timeout", timeout)
		case errors.Is(err, io.ErrUnexpectedEOF):
			select { // the exit status is a better reason than the end of a file
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
			w.takesHTTP, w.partsPerForm = head[4]&readyHTTP != 0, maxParts
			if len(head) >= 9 {
				w.partsPerForm = int(min(maxParts, binary.BigEndian.Uint32(head[5:])))
			}
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
	if kind == logLeak {
		return w.leakFrame()
	}
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
