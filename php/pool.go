package php

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"mkd/php/internal/process"
)

// Pool is a pool of PHP workers that run one script. It is safe for use by
// several goroutines.
type Pool struct {
	opt Options
	log *slog.Logger

	ctx       context.Context // ends when the pool closes
	cancel    context.CancelFunc
	hurry     chan struct{} // closed when workers may not take their time to end
	hurryOnce sync.Once
	ended     sync.Once

	loop      *os.File
	spawner   *process.Spawner
	identity  *process.Identity // nil: this process's
	keepers   sync.WaitGroup    // goroutines that keep the places filled
	processes sync.WaitGroup
	stuck     atomic.Int64 // readers of messages that outlast their calls
	uploads   *uploads
	base      string // SCRIPT_NAME of a request

	replacing chan struct{} // has one element while workers are replaced

	mu         sync.Mutex
	changed    sync.Cond // of mu: a process ended, a place went, or the pool closed
	generation int       // counts replacements
	started    bool
	closed     bool
	places     map[*place]struct{}
	leaving    []*worker     // their processes haven't ended; the first left first
	noGrowth   time.Time     // until then, after a failed start
	failed     error         // why a start failed whose place is gone
	idle       []*worker     // the last one was used last
	busy       int           // workers with a call
	drained    chan struct{} // closed when the pool is closed and busy is 0
	queue      queue
	counts     Counts

	takesHTTP bool // of the worker that was ready last
}

// NewPool checks the options, and makes a Pool that is yet to be started.
func NewPool(opt Options) (*Pool, error) {
	opt, err := opt.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Pool{
		opt:     opt,
		log:     opt.Logger,
		hurry:   make(chan struct{}),
		places:  make(map[*place]struct{}),
		drained: make(chan struct{}),

		replacing: make(chan struct{}, 1),
		queue:     newQueue(opt.Queue),
	}
	p.changed.L = &p.mu
	if p.identity, err = process.LookupIdentity(opt.User, opt.Group); err != nil {
		return nil, err
	}
	p.uploads, p.base = newUploads(&p.opt, p.identity), scriptName(opt.Script)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p, nil
}

// Start starts the workers, and returns when MinWorkers of them are ready. If
// one fails, it ends them all, and returns why, in PHP's own words. A Pool is
// started once.
func (p *Pool) Start(ctx context.Context) (err error) {
	if err := process.CloseInherited(); err != nil {
		return err
	}
	ready := make(chan error, p.opt.MinWorkers)
	if err := p.begin(ready); err != nil {
		return err
	}
	for range p.opt.MinWorkers {
		select {
		case err = <-ready:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		if err != nil {
			p.Close()
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	p.started = true
	p.keepers.Go(p.tend)
	if p.takesHTTP {
		p.keepers.Go(p.uploads.sweep)
	}
	return nil
}

// begin starts the first workers.
func (p *Pool) begin(ready chan<- error) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if p.loop, err = openLoop(); err != nil {
		return err
	}
	if p.spawner, err = process.NewSpawner(p.identity, p.opt.Sandbox); err != nil {
		return err
	}
	for range p.opt.MinWorkers {
		p.add(ready)
	}
	return nil
}

// Do has a worker answer a call, and writes the answer to w. The call waits
// for a worker for at most QueueTimeout, and has Timeout in it; ctx bounds
// both, but for a Write of w, which isn't cut short. A call of which no byte
// reached a worker that died is given to another; apart from that it is never
// tried twice.
func (p *Pool) Do(ctx context.Context, c *Call, w io.Writer) error {
	if n := p.stuck.Load(); c.More != nil && n >= int64(p.opt.MaxWorkers) {
		return tooManyStuck(n)
	}
	return p.call(ctx, c, &receiver{raw: w})
}

func tooManyStuck(n int64) error {
	return fmt.Errorf("%d readers of messages didn't return, although their calls are over; a further message in parts isn't taken", n)
}

// call has a worker answer a message.
func (p *Pool) call(ctx context.Context, m message, answer *receiver) error {
	return p.with(ctx, m.from(), func(w *worker) (departure, error) {
		how, err := w.call(ctx, m, answer, p.opt.Timeout)
		p.count(w, how, err)
		return how, err
	})
}

// Ping has a worker give a sign of life, within ctx. Like a call it waits until
// a worker is free: ErrQueueTimeout says that all are busy.
func (p *Pool) Ping(ctx context.Context) error {
	return p.with(ctx, netip.Prefix{}, func(w *worker) (departure, error) { return w.ping(ctx, p.opt.Timeout) })
}

// with has f use a worker, and another one if nothing of the call reached it.
func (p *Pool) with(ctx context.Context, client netip.Prefix, f func(w *worker) (departure, error)) error {
	until := time.Now().Add(p.opt.QueueTimeout)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		w, err := p.acquire(ctx, client, until)
		if err != nil {
			return err
		}
		err = p.use(w, f)
		var unsent *unsentError
		if !errors.As(err, &unsent) {
			return err
		}
		if !time.Now().Before(until) {
			return ErrQueueTimeout
		}
	}
}

// use has f use a worker, and takes the worker back, even if f panics.
func (p *Pool) use(w *worker, f func(w *worker) (departure, error)) (err error) {
	how := departKill
	defer func() {
		reason := p.release(w, how)
		w.report(how, err, reason) // last, for the log may be slow
	}()
	how, err = f(w)
	return err
}

// TakesHTTP reports whether the script has a handler of its own for HTTP
// requests (on_http). If not, they are messages like all others to it.
func (p *Pool) TakesHTTP() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.takesHTTP
}

// acquire takes a worker, or waits for one in the client's turn.
func (p *Pool) acquire(ctx context.Context, client netip.Prefix, until time.Time) (*worker, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, ErrClosed
	}
	if n := len(p.idle); n > 0 {
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.take(w)
		p.mu.Unlock()
		return w, nil
	}
	wt, evicted := p.queue.join(client)
	if wt == nil {
		p.grow(1)
		p.counts.QueueFull++
		p.mu.Unlock()
		return nil, ErrQueueFull
	}
	if evicted != nil {
		p.counts.QueueFull++
		evicted.outcome <- outcome{err: ErrQueueFull}
	}
	p.grow(0)
	p.mu.Unlock()
	return p.wait(ctx, wt, until)
}

func (p *Pool) wait(ctx context.Context, wt *waiter, until time.Time) (*worker, error) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	err := ErrQueueTimeout
	select {
	case o := <-wt.outcome:
		return o.worker, o.err
	case <-timer.C:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queue.leave(wt) {
		if err == ErrQueueTimeout {
			p.counts.QueueTimeouts++
		}
		return nil, err
	}
	o := <-wt.outcome // it came just now
	return o.worker, o.err
}

// take marks a worker as busy.
func (p *Pool) take(w *worker) {
	w.busy, w.since = true, time.Now()
	p.busy++
}

// offer gives a worker that nobody uses to the first call that waits, or makes
// it idle.
func (p *Pool) offer(w *worker) {
	w.busy, w.since = false, time.Now()
	if wt := p.queue.next(); wt != nil {
		p.take(w)
		wt.outcome <- outcome{worker: w}
		return
	}
	p.idle = append(p.idle, w)
}

// release takes a worker back after its use, and returns why it has to leave
// the pool although it is in order, "" if it needn't.
func (p *Pool) release(w *worker, how departure) (reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
	w.memory = w.reported
	if how == stay && !w.parted {
		if reason = p.spent(w); reason != "" {
			how = departStop
		} else if w.old() {
			p.recycle()
		}
	}
	if how == stay && !w.parted {
		p.offer(w)
	} else {
		if w.requests == 0 {
			w.busy = false // it has served nothing
		}
		p.part(w, how)
		w.busy = false
		p.closePipes(w)
	}
	if p.closed && p.busy == 0 {
		close(p.drained)
	}
	return reason
}

// spent tells why a worker can't have another call, "" if it can.
func (p *Pool) spent(w *worker) string {
	switch {
	case p.closed:
		return "the pool is shut down"
	case w.retiring:
		return "it is retired"
	case w.mostRequests > 0 && w.requests >= w.mostRequests:
		return "max_requests"
	case p.opt.MemoryLimit > 0 && w.memory > p.opt.MemoryLimit:
		return "memory_limit"
	}
	return ""
}

// Shutdown lets calls under way end within ctx; those that wait get ErrClosed.
// Then it ends the workers. Its error is the context's, if calls were cut off.
func (p *Pool) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		for wt := p.queue.next(); wt != nil; wt = p.queue.next() {
			wt.outcome <- outcome{err: ErrClosed}
		}
		for len(p.idle) > 0 {
			p.part(p.idle[0], departStop)
		}
		if p.busy == 0 {
			close(p.drained)
		}
		p.changed.Broadcast()
	}
	p.cancel()
	p.mu.Unlock()

	var err error
	select {
	case <-p.drained:
	case <-ctx.Done():
		p.mu.Lock()
		if p.busy > 0 {
			err = context.Cause(ctx)
		}
		for pl := range p.places {
			if w := pl.worker; w != nil {
				p.part(w, departKill)
			}
		}
		p.mu.Unlock()
	}
	stop := context.AfterFunc(ctx, func() { p.hurryOnce.Do(func() { close(p.hurry) }) })
	defer stop()
	p.keepers.Wait()
	p.processes.Wait()
	p.ended.Do(func() {
		if p.spawner != nil {
			p.spawner.Close()
		}
		if p.loop != nil {
			p.loop.Close()
		}
		p.uploads.close()
	})
	return err
}

// Close ends everything at once.
func (p *Pool) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
