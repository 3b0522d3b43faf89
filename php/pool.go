package php

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"mkd/histogram"
	"mkd/php/internal/process"
	"mkd/share"
)

// Pool is a pool of PHP workers that run one script. It is safe for use by
// several goroutines.
type Pool struct {
	opt Options
	log *slog.Logger

	ctx       context.Context // ends when the pool closes
	cancel    context.CancelFunc
	killNow   chan struct{} // closed when workers that end are killed immediately
	killOnce  sync.Once
	closeOnce sync.Once

	loop      *os.File
	spawner   *process.Spawner
	identity  *process.Identity // nil: this process's
	tasks     sync.WaitGroup    // goroutines that fill slots and maintain the pool
	processes sync.WaitGroup
	stuck     atomic.Int64 // readers of Call.More that outlast their calls
	leaks     leakBook
	uploads   *uploads
	base      string // SCRIPT_NAME of a request

	replacing chan struct{} // has one element while workers are replaced

	mu         sync.Mutex
	changed    sync.Cond // of mu: a process or a slot ended, or the pool closed
	generation int       // counts replacements
	started    bool
	closed     bool
	slots      map[*slot]struct{}
	exiting    []*worker     // evicted workers whose processes haven't ended, in order of eviction
	noGrowth   time.Time     // no worker is added before
	startError error         // of the last start whose slot has ended
	idle       []*worker     // the last one was used last
	busy       int           // workers with a call
	drained    chan struct{} // closed when the pool is closed and busy is 0
	queue      *share.Queue[waiter]
	counts     Counts
	waits      histogram.Histogram

	// As the last worker that became ready.
	takesHTTP    bool
	partsPerForm int // fields and files that a form may have
}

// NewPool checks the options and returns a Pool, which Start starts.
func NewPool(opt Options) (*Pool, error) {
	opt, err := opt.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Pool{
		opt:     opt,
		log:     opt.Logger,
		killNow: make(chan struct{}),
		slots:   make(map[*slot]struct{}),
		drained: make(chan struct{}),

		replacing: make(chan struct{}, 1),
		queue:     share.NewQueue[waiter](opt.Queue),
	}
	p.changed.L = &p.mu
	if p.identity, err = process.LookupIdentity(opt.User, opt.Group); err != nil {
		return nil, err
	}
	p.uploads, p.base = newUploads(&p.opt, p.identity), scriptName(opt.Script)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p, nil
}

// Start starts the workers, and returns when MinWorkers of them are ready. If one
// fails, Start ends them all and returns PHP's own message. A Pool is started
// once.
func (p *Pool) Start(ctx context.Context) (err error) {
	if err := process.CloseInherited(); err != nil {
		return err
	}
	ready := make(chan error, p.opt.MinWorkers)
	if err := p.begin(ready); err != nil {
		p.Close()
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
	p.tasks.Go(p.maintain)
	if p.takesHTTP {
		p.tasks.Go(p.uploads.sweep)
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
	if p.loop, err = openLoop(p.opt.Dev, p.opt.DetectLeaks); err != nil {
		return err
	}
	if p.spawner, err = process.NewSpawner(p.identity, p.opt.Sandbox); err != nil {
		return err
	}
	for range p.opt.MinWorkers {
		p.addSlot(ready)
	}
	return nil
}

// Do sends a call to a worker and writes the response to w. The call waits for a
// worker for at most QueueTimeout, and the worker has Timeout for it. ctx bounds
// both, except for a Write of w, which isn't cut short. If a worker died before a
// byte of the call reached it, another one gets the call; otherwise a call is
// never sent twice.
func (p *Pool) Do(ctx context.Context, c *Call, w io.Writer) error {
	if n := p.stuck.Load(); c.More != nil && n >= int64(p.opt.MaxWorkers) {
		return tooManyStuck(n)
	}
	resp := &receiver{raw: w}
	err := p.call(ctx, c, resp)
	c.Worker = resp.worker
	return err
}

func tooManyStuck(n int64) error {
	return fmt.Errorf("%d readers of messages haven't returned although their calls have ended; another message in parts is refused", n)
}

// call sends a message to a worker and receives the response.
func (p *Pool) call(ctx context.Context, m message, resp *receiver) error {
	return p.with(ctx, m.task(), func(w *worker) (eviction, error) {
		resp.worker = w.proc.PID
		how, err := w.call(ctx, m, resp, p.opt.Timeout)
		p.count(w, how, err)
		if resp.worksOn = how == worksOn; !resp.worksOn {
			w.message = nil // so that it can be collected
		}
		return how, err
	})
}

// Ping checks that a worker responds. Like a call it waits until a worker is free:
// ErrQueueTimeout reports that all are busy.
func (p *Pool) Ping(ctx context.Context) error {
	return p.with(ctx, task{}, func(w *worker) (eviction, error) { return w.ping(ctx, p.opt.Timeout) })
}

// with calls f with a worker, and with another one if nothing of the call reached
// the first.
func (p *Pool) with(ctx context.Context, t task, f func(w *worker) (eviction, error)) error {
	until := time.Now().Add(p.opt.QueueTimeout)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		w, err := p.acquire(ctx, t, until)
		if err != nil {
			return err
		}
		err = p.use(w, f)
		if !isUnsent(err) {
			return err
		}
		if !time.Now().Before(until) {
			return ErrQueueTimeout
		}
		p.retried()
	}
}

// use calls f with a worker, and releases the worker, even if f panics.
func (p *Pool) use(w *worker, f func(w *worker) (eviction, error)) (err error) {
	how := evictKill
	defer func() {
		if how == worksOn {
			p.awaitWork(w)
			return
		}
		reason := p.release(w, how)
		w.logEnd(how, err, reason) // last, since the log may be slow
	}()
	how, err = f(w)
	return err
}

// TakesHTTP reports whether the script has a handler for HTTP requests (on_http).
// If not, it gets them as messages like all others.
func (p *Pool) TakesHTTP() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.takesHTTP
}

// partsOfForms returns how many fields and files a form may have.
func (p *Pool) partsOfForms() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.partsPerForm
}

// Shutdown waits for the calls in flight until ctx ends; calls that wait get
// ErrClosed. Then it ends the workers. It returns the cause of ctx if calls were
// cut off.
func (p *Pool) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		for wt := p.queue.Next(); wt != nil; wt = p.queue.Next() {
			wt.outcome <- outcome{err: ErrClosed}
		}
		for len(p.idle) > 0 {
			p.evict(p.idle[0], evictStop, EndedShutdown)
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
		for s := range p.slots {
			if w := s.worker; w != nil {
				p.evict(w, evictKill, EndedShutdown)
			}
		}
		p.mu.Unlock()
	}
	stop := context.AfterFunc(ctx, func() { p.killOnce.Do(func() { close(p.killNow) }) })
	defer stop()
	p.tasks.Wait()
	p.processes.Wait()
	p.closeOnce.Do(func() {
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

// Close cuts off the calls in flight and ends the workers.
func (p *Pool) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
