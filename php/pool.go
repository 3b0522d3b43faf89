package php

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
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
	spawner   *spawner
	keepers   sync.WaitGroup // goroutines that keep the places filled
	processes sync.WaitGroup

	replacing sync.Mutex // held by Replace

	mu         sync.Mutex
	generation int // counts replacements
	started    bool
	closed     bool
	places     map[*place]struct{}
	starting   int           // places whose worker isn't ready
	noGrowth   time.Time     // until then, after a failed start
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
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p, nil
}

// Start starts the workers, and returns when MinWorkers of them are ready. If
// one fails, it ends them all, and returns why, in PHP's own words. A Pool is
// started once.
func (p *Pool) Start(ctx context.Context) (err error) {
	if err := keepDescriptors(); err != nil {
		return err
	}
	if p.loop, err = openLoop(); err != nil {
		return err
	}
	p.spawner = newSpawner()
	ready := make(chan error, p.opt.MinWorkers)
	p.mu.Lock()
	for range p.opt.MinWorkers {
		p.add(ready)
	}
	p.mu.Unlock()
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
	return nil
}

// Do has a worker answer a call, and writes the answer to w. The call waits
// for a worker for at most QueueTimeout, and has Timeout in it; ctx bounds
// both. A call of which no byte reached a worker that died is given to
// another; apart from that it is never tried twice.
func (p *Pool) Do(ctx context.Context, c *Call, w io.Writer) error {
	return p.with(ctx, func(wk *worker) (departure, error) { return wk.call(ctx, c, w, p.opt.Timeout) })
}

// with has f use a worker, and another one if nothing of the call reached it.
func (p *Pool) with(ctx context.Context, f func(w *worker) (departure, error)) error {
	until := time.Now().Add(p.opt.QueueTimeout)
	for {
		w, err := p.acquire(ctx, until)
		if err != nil {
			return err
		}
		how, err := f(w)
		p.release(w, how, err)
		var unsent *unsentError
		if !errors.As(err, &unsent) {
			return err
		}
		if !time.Now().Before(until) {
			return ErrQueueTimeout
		}
	}
}

// Ping has a worker give a sign of life, within ctx. Like a call it waits until
// a worker is free: ErrQueueTimeout says that all are busy.
func (p *Pool) Ping(ctx context.Context) error {
	return p.with(ctx, func(w *worker) (departure, error) { return w.ping(ctx, p.opt.Timeout) })
}

// TakesHTTP reports whether the script has a handler of its own for HTTP
// requests (on_http). If not, they are messages like all others to it.
func (p *Pool) TakesHTTP() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.takesHTTP
}

// acquire takes a worker, or waits for one.
func (p *Pool) acquire(ctx context.Context, until time.Time) (*worker, error) {
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
	if p.queue.len() >= p.opt.Queue {
		p.grow(1)
		p.counts.QueueFull++
		p.mu.Unlock()
		return nil, ErrQueueFull
	}
	wt := p.queue.join()
	p.grow(0)
	p.mu.Unlock()
	return p.wait(ctx, wt, until)
}

func (p *Pool) wait(ctx context.Context, wt *waiter, until time.Time) (*worker, error) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	err := ErrQueueTimeout
	select {
	case w := <-wt.worker:
		if w == nil {
			return nil, ErrClosed
		}
		return w, nil
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
	w := <-wt.worker // it came just now
	if w == nil {
		return nil, ErrClosed
	}
	return w, nil
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
		wt.worker <- w
		return
	}
	p.idle = append(p.idle, w)
}

// release takes a worker back after a call.
func (p *Pool) release(w *worker, how departure, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count(w, how, err)
	p.busy--
	var unsent *unsentError
	if errors.As(err, &unsent) {
		w.busy = false // it has served nothing
	} else {
		w.requests++
		w.memory = w.reported
	}
	if how == stay {
		if reason := p.spent(w); reason != "" {
			w.log.Debug("worker replaced", "reason", reason)
			how = departStop
		}
	}
	if how == stay && !w.parted {
		p.offer(w)
	} else {
		p.part(w, how)
		w.busy = false
		p.closePipes(w)
	}
	if p.closed && p.busy == 0 {
		close(p.drained)
	}
}

// spent tells why a worker should be replaced, "" if it needn't.
func (p *Pool) spent(w *worker) string {
	switch {
	case p.closed:
		return "the pool is shut down"
	case w.retiring:
		return "it is retired"
	case w.maxRequests > 0 && w.requests >= w.maxRequests:
		return "max_requests"
	case w.maxAge > 0 && time.Since(w.born) >= w.maxAge:
		return "max_age"
	case p.opt.MemoryLimit > 0 && w.memory > p.opt.MemoryLimit:
		return "memory_limit"
	}
	return ""
}

// part has a worker leave the pool. Only the first departure counts.
func (p *Pool) part(w *worker, how departure) {
	if w.parted {
		return
	}
	w.parted, w.how = true, how
	if i := slices.Index(p.idle, w); i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
	}
	w.leave <- how
	close(w.gone)
}

// watch waits for the end of a worker's process, and brings it about when the
// worker leaves the pool.
func (p *Pool) watch(w *worker) {
	select {
	case <-w.proc.exited:
	case how := <-w.leave:
		p.end(w.proc, how)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	w.ended = true
	p.part(w, departKill)
	p.closePipes(w)
	if w.busy { // who uses it may read what is left; a child of it could hold the pipe open for ever
		time.AfterFunc(exitGrace, w.pipe.close)
	}
}

// end ends a process.
func (p *Pool) end(proc *process, how departure) {
	if how == departStop {
		proc.stop()
		if p.exits(proc, stopGrace) {
			return
		}
	}
	if how != departKill {
		proc.signal(syscall.SIGTERM)
		if p.exits(proc, termGrace) {
			return
		}
	}
	proc.signal(syscall.SIGKILL)
	<-proc.exited
}

// exits waits for the end of a process.
func (p *Pool) exits(proc *process, within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-proc.exited:
		return true
	case <-p.hurry:
	case <-timer.C:
	}
	return false
}

// finish ends the use of a worker that isn't in the pool.
func (p *Pool) finish(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.busy = false
	p.closePipes(w)
}

// closePipes closes a worker's pipes once its process has ended and nobody
// reads what it left in them.
func (p *Pool) closePipes(w *worker) {
	if w.ended && !w.busy {
		w.pipe.close()
	}
}

// Shutdown lets calls under way end within ctx; those that wait get ErrClosed.
// Then it ends the workers. Its error is the context's, if calls were cut off.
func (p *Pool) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		for wt := p.queue.next(); wt != nil; wt = p.queue.next() {
			wt.worker <- nil
		}
		for len(p.idle) > 0 {
			p.part(p.idle[0], departStop)
		}
		if p.busy == 0 {
			close(p.drained)
		}
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
			if pl.worker != nil {
				p.part(pl.worker, departKill)
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
			p.spawner.close()
		}
		if p.loop != nil {
			p.loop.Close()
		}
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
