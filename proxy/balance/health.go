package balance

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// Defaults of the fields of Health that are zero.
const (
	DefaultInterval = 5 * time.Second
	DefaultTimeout  = 2 * time.Second
	DefaultRise     = 2
	DefaultFall     = 3
)

// Health configures how upstreams that have a Check are checked, from Start to
// Close.
type Health struct {
	Interval time.Duration // between checks of an upstream
	Timeout  time.Duration // of a check; its context ends then
	Rise     int           // checks in a row that have to pass before an upstream is up again
	Fall     int           // checks in a row that have to fail before it is down
}

func (h *Health) interval() time.Duration { return cmp.Or(h.Interval, DefaultInterval) }

// checkState is what the checks of an upstream have found. At first it is up.
type checkState struct {
	down bool
	why  error // the last check that failed did
	row  int   // checks in a row with the other outcome
}

// note notes the outcome of a check.
func (c *checkState) note(h *Health, err error) {
	if err != nil {
		c.why = err
	}
	if (err != nil) == c.down {
		c.row = 0
		return
	}
	c.row++
	enough := cmp.Or(h.Fall, DefaultFall)
	if c.down {
		enough = cmp.Or(h.Rise, DefaultRise)
	}
	if c.row >= enough {
		c.down, c.row = !c.down, 0
	}
}

// Start begins the checks. They end with ctx, or by Close. It is called once.
func (b *Balancer) Start(ctx context.Context) {
	b.init()
	ctx, cancel := context.WithCancel(ctx)
	b.stop = cancel
	for _, s := range b.states {
		if s.Check != nil {
			b.checks.Go(func() { b.check(ctx, s) })
		}
	}
}

// Close ends the checks, and waits for those in flight.
func (b *Balancer) Close() {
	if b.stop != nil {
		b.stop()
	}
	b.checks.Wait()
}

// check checks an upstream, at once and then again and again.
func (b *Balancer) check(ctx context.Context, s *state) {
	ticker := time.NewTicker(b.Health.interval())
	defer ticker.Stop()
	for {
		err := b.checkOnce(ctx, s)
		if ctx.Err() != nil {
			return
		}
		if classify(err).blame != blameNobody { // a full queue shows neither that it is well nor that it isn't
			b.change(s, func(time.Time) { s.checked(&b.Health, err) })
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (b *Balancer) checkOnce(ctx context.Context, s *state) error {
	ctx, cancel := context.WithTimeoutCause(ctx, cmp.Or(b.Health.Timeout, DefaultTimeout), errCheckTimeout)
	defer cancel()
	return s.Check(ctx)
}

var errCheckTimeout = errors.New("the check took too long")
