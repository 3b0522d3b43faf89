package php

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// awaitWork waits, in a goroutine of its own, until a worker whose client has the
// response has ended its work: on_stop, and what follows arca\\finish. It has
// Timeout for that. The worker is busy until then.
func (p *Pool) awaitWork(w *worker) {
	p.mu.Lock()
	w.worksOn = true
	p.mu.Unlock()
	go func() {
		how, err := w.awaitEnd(p.opt.Timeout)
		w.message.ended()
		w.message = nil
		var script *ScriptError
		if errors.As(err, &script) {
			w.output.Write(slog.LevelError, "after the response: "+script.Message)
		}
		reason := p.release(w, how)
		w.logEnd(how, err, reason)
	}()
}

// awaitEnd receives the frames of a worker that works on after its response. It
// returns how the worker is evicted from the pool, if it must be.
func (w *worker) awaitEnd(timeout time.Duration) (eviction, error) {
	w.pipe.begin(context.Background(), time.Now().Add(timeout)) // the client may leave
	defer w.pipe.end()
	for {
		h, head, err := w.next(w.id)
		if err != nil {
			return w.failure(err)
		}
		var how eviction
		switch h.typ {
		case frameLog:
			if err := w.logFrame(head); err != nil {
				return w.failure(err)
			}
			continue
		case frameEnd:
			how = w.ending(head)
		case frameError:
			how, err = w.scriptError(head)
		}
		if h.typ != frameEnd && h.typ != frameError || how == worksOn || h.typ == frameEnd && h.body > 0 {
			return w.failure(fmt.Errorf("%w: type %02x after a response", errFrame, byte(h.typ)))
		}
		return how, err
	}
}
