package balance

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"syscall"
	"time"
)

// How an upstream at which requests fail is left out.
const (
	maxFailures  = 3 // in a row
	firstPause   = time.Second
	longestPause = 10 * time.Second
	trialTime    = time.Second // others wait so long for the outcome of a trial
)

// state is what is known of an upstream.
type state struct {
	*Upstream
	weight   int
	requests atomic.Uint64
	failed   atomic.Uint64
	active   atomic.Int64 // requests under way, if Active doesn't tell
	troubled atomic.Bool  // a success would change something

	// What follows is guarded by Balancer.mu.
	credit  int           // for turn
	load    int           // for leastConn
	row     int           // failures in a row
	ejected bool          // left out until a trial succeeds
	pause   time.Duration // how long it was left out last; 0: it wasn't since it was well
	until   time.Time     // when it may be tried, if it is ejected
	why     error         // it was ejected
	checks  checkState
	changed time.Time // when it went up or down
}

func (s *state) up() bool { return !s.ejected && !s.checks.down }

// reason says why the upstream isn't up.
func (s *state) reason() error {
	switch {
	case s.checks.down:
		return s.checks.why
	case s.ejected:
		return s.why
	}
	return nil
}

// mayTry tells whether a request may go there now.
func (s *state) mayTry(now time.Time) bool {
	return !s.checks.down && (!s.ejected || !now.Before(s.until))
}

// begin notes that a request goes there, and tells whether it is on trial.
func (s *state) begin(now time.Time) (trial bool) {
	if s.ejected {
		s.until = now.Add(trialTime)
	}
	return s.ejected
}

// underWay returns the number of requests that are under way.
func (s *state) underWay() int {
	if s.Active != nil {
		return s.Active()
	}
	return int(s.active.Load())
}

// wait returns the time until an upstream may be tried, if none may now.
func (b *Balancer) wait(now time.Time) time.Duration {
	wait := longestPause
	for _, s := range b.states {
		next := b.Health.interval()
		if !s.checks.down {
			next = s.until.Sub(now)
		}
		wait = min(wait, next)
	}
	return max(wait, time.Millisecond)
}

// succeeded notes that u answered.
func (b *Balancer) succeeded(u *state) {
	if !u.troubled.Load() {
		return
	}
	b.change(u, func(time.Time) {
		u.row, u.ejected, u.pause, u.why = 0, false, 0, nil
		u.troubled.Store(false)
	})
}

// fault notes that a request failed at u by u's fault. One that began before u
// was ejected tells nothing new.
func (b *Balancer) fault(u *state, trial bool, err error) {
	b.change(u, func(now time.Time) {
		u.row++
		u.troubled.Store(true)
		if u.ejected && !trial || !u.ejected && u.row < maxFailures && !refused(err) {
			return
		}
		longest := longestPause
		if len(b.states) == 1 {
			longest = firstPause
		}
		u.pause = min(max(firstPause, 2*u.pause), longest)
		u.ejected, u.until, u.why = true, now.Add(u.pause), err
	})
}

// abandon notes that a request had no outcome which tells of u.
func (b *Balancer) abandon(u *state, trial bool) {
	if !trial {
		return
	}
	b.change(u, func(now time.Time) {
		if u.ejected {
			u.until = now // the next one is the trial
		}
	})
}

// change changes the state of u, and logs it if u goes up or down by it.
func (b *Balancer) change(u *state, f func(now time.Time)) {
	now := time.Now()
	b.mu.Lock()
	was := u.up()
	f(now)
	is, why, since := u.up(), u.reason(), u.changed
	if was != is {
		u.changed = now
	}
	b.mu.Unlock()
	if was == is || b.Logger == nil {
		return
	}
	if is {
		b.Logger.LogAttrs(context.Background(), slog.LevelInfo, "upstream is up again", slog.String("upstream", u.Name), slog.Duration("down_for", now.Sub(since)))
	} else {
		b.Logger.LogAttrs(context.Background(), slog.LevelWarn, "upstream is down", slog.String("upstream", u.Name), slog.Any("reason", why))
	}
}

// refused tells whether nobody listens at the upstream's address.
func refused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) // the latter for a unix socket
}

// Status is what is known of an upstream, for people.
type Status struct {
	Name     string
	Weight   int
	Up       bool
	Why      error     // it isn't up
	Since    time.Time // when it went up or down; at first, when the Balancer began
	Active   int       // requests under way
	Row      int       // failed requests in a row
	Requests uint64    // that were sent there
	Failed   uint64    // of these, by its fault
}

// Status returns the state of each upstream, in their order.
func (b *Balancer) Status() []Status {
	b.init()
	all := make([]Status, 0, len(b.states))
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.states {
		all = append(all, Status{
			Name: s.Name, Weight: s.weight, Up: s.up(), Why: s.reason(), Since: s.changed,
			Active: s.underWay(), Row: s.row, Requests: s.requests.Load(), Failed: s.failed.Load(),
		})
	}
	return all
}
