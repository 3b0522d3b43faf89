package sessions

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"mkd/megaki"
)

// Defaults for the zero fields of GuardOptions.
const (
	DefaultTimeout  = 250 * time.Millisecond
	DefaultFailures = 5
	DefaultRetry    = time.Second
	DefaultInFlight = 512
)

// GuardOptions configure a Guard. The zero value of a field means its default, which
// is the constant of the same name with Default before it.
type GuardOptions struct {
	// Timeout bounds each operation of the store.
	Timeout time.Duration
	// Failures is the number of failures of one operation in a row after which the
	// circuit opens: the store isn't asked any more. A store that is full completes
	// each Load, and no CompareAndSwap.
	Failures int
	// Retry is the time between two attempts to reach the store while the circuit
	// is open.
	Retry time.Duration
	// InFlight is the number of operations at once. One more fails.
	InFlight int
	// Logger logs when the circuit opens and closes. Default: nothing is logged.
	Logger *slog.Logger
}

// GuardStats are what a Guard has counted since it was made.
type GuardStats struct {
	Down      bool      // the circuit is open: the store isn't asked
	Since     time.Time // when the circuit opened or closed last
	LastError string    // of the last failure
	Loads     uint64    // that the store completed
	Swaps     uint64    // the same of CompareAndSwap
	Failures  uint64    // errors and timeouts
	Refused   uint64    // while the circuit was open
}

// Guard is a SessionStore that bounds what another one may cost: the time of each
// operation, and their number. After some failures in a row it asks the store no
// more, and all operations fail at once, until an attempt of its own succeeds. Its
// errors then wrap megaki.ErrStoreDown.
type Guard struct {
	store megaki.SessionStore
	opts  GuardOptions
	slots chan struct{}

	mu           sync.Mutex
	loads, swaps operation
	stats        GuardStats

	ctx    context.Context
	cancel context.CancelFunc
	trials sync.WaitGroup
}

// operation is one of the two of a store.
type operation struct {
	completed *uint64 // one of the stats
	failed    int     // in a row
}

var (
	_ megaki.SessionStore = (*Guard)(nil)
	_ megaki.Toucher      = (*Guard)(nil)
)

var (
	errBusy    = errors.New("too many operations are in flight")
	errTimeout = errors.New("the store didn't respond in time")
)

// NewGuard returns a Guard of a store.
func NewGuard(store megaki.SessionStore, o GuardOptions) *Guard {
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.Failures = cmp.Or(o.Failures, DefaultFailures)
	o.Retry = cmp.Or(o.Retry, DefaultRetry)
	o.InFlight = cmp.Or(o.InFlight, DefaultInFlight)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Guard{store: store, opts: o, slots: make(chan struct{}, o.InFlight)}
	g.loads.completed, g.swaps.completed = &g.stats.Loads, &g.stats.Swaps
	g.stats.Since = time.Now()
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g
}

// Close ends the attempts to reach a store that is down. It doesn't close the store.
func (g *Guard) Close() error {
	g.mu.Lock() // no attempt begins afterwards
	g.cancel()
	g.mu.Unlock()
	g.trials.Wait()
	return nil
}

// Stats returns the counters.
func (g *Guard) Stats() GuardStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stats
}

// Load implements megaki.SessionStore.
func (g *Guard) Load(ctx context.Context, t megaki.Token) (*megaki.Record, error) {
	return guarded(g, ctx, &g.loads, func(ctx context.Context) (*megaki.Record, error) { return g.store.Load(ctx, t) })
}

// CompareAndSwap implements megaki.SessionStore.
func (g *Guard) CompareAndSwap(ctx context.Context, t megaki.Token, old, next *megaki.Record) (bool, error) {
	return guarded(g, ctx, &g.swaps, func(ctx context.Context) (bool, error) { return g.store.CompareAndSwap(ctx, t, old, next) })
}

// Touch implements megaki.Toucher, for a store that does.
func (g *Guard) Touch(t megaki.Token) {
	if toucher, ok := g.store.(megaki.Toucher); ok {
		toucher.Touch(t)
	}
}

// guarded does an operation of the store, unless the circuit is open.
func guarded[T any](g *Guard, ctx context.Context, which *operation, op func(context.Context) (T, error)) (none T, err error) {
	if err := g.admit(); err != nil {
		return none, err
	}
	result, err := bounded(g, ctx, op)
	switch {
	case err == nil:
		g.succeeded(which)
	case ctx.Err() != nil: // whoever asked has left: that is no fault of the store
		return none, context.Cause(ctx)
	default:
		g.failure(which, err)
		return none, err
	}
	return result, nil
}

// bounded does an operation within the timeout. A store that doesn't observe its
// context keeps its goroutine and its slot.
func bounded[T any](g *Guard, ctx context.Context, op func(context.Context) (T, error)) (none T, err error) {
	select {
	case g.slots <- struct{}{}:
	default:
		return none, errBusy
	}
	within, cancel := context.WithTimeout(ctx, g.opts.Timeout)
	defer cancel()
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() { <-g.slots }()
		value, err := op(within)
		done <- outcome{value, err}
	}()
	select {
	case o := <-done:
		if errors.Is(o.err, context.DeadlineExceeded) {
			o.err = errTimeout
		}
		return o.value, o.err
	case <-within.Done():
		return none, errTimeout
	}
}

func (g *Guard) admit() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.stats.Down {
		return nil
	}
	g.stats.Refused++
	return fmt.Errorf("%w: %s", megaki.ErrStoreDown, g.stats.LastError)
}

func (g *Guard) succeeded(which *operation) {
	g.mu.Lock()
	defer g.mu.Unlock()
	*which.completed++
	which.failed = 0
}

// failure counts a failure, and opens the circuit after enough of them. That there are too
// many operations is the fault of clients, not of the store: if that hangs, those that are
// in flight fail too.
func (g *Guard) failure(which *operation, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stats.Failures++
	g.stats.LastError = err.Error()
	if errors.Is(err, errBusy) {
		return
	}
	which.failed++
	if g.stats.Down || which.failed < g.opts.Failures || g.ctx.Err() != nil {
		return
	}
	g.stats.Down, g.stats.Since = true, time.Now()
	g.opts.Logger.Warn("the session store fails: until it responds, sessions can't be resumed, and clients do a handshake", "error", err)
	g.trials.Go(g.retry)
}

// retry closes the circuit when the store responds again.
func (g *Guard) retry() {
	for {
		select {
		case <-time.After(g.opts.Retry):
		case <-g.ctx.Done():
			return
		}
		_, err := bounded(g, g.ctx, g.trial)
		g.mu.Lock()
		if err == nil {
			g.opts.Logger.Info("the session store responds again", "after", time.Since(g.stats.Since).Round(time.Millisecond))
			g.stats.Down, g.stats.Since, g.loads.failed, g.swaps.failed = false, time.Now(), 0, 0
			g.mu.Unlock()
			return
		}
		g.stats.LastError = err.Error()
		g.mu.Unlock()
	}
}

// trialLife is how long the session of a trial is kept.
const trialLife = time.Second

// trial reports whether the store responds, by a session that no client has: its key is
// random. The session is written as well, since a store that is full can still be read.
func (g *Guard) trial(ctx context.Context) (swapped bool, err error) {
	var token megaki.Token
	old, err := g.store.Load(ctx, token)
	if err != nil {
		return false, err
	}
	next := &megaki.Record{Expires: time.Now().Add(trialLife)}
	rand.Read(next.Current.Key[:])
	return g.store.CompareAndSwap(ctx, token, old, next)
}
