package balance

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

// Defaults of the fields of Balancer that are zero.
const (
	DefaultMaxFails    = 3
	DefaultFailTimeout = 10 * time.Second
)

// trialInterval is the first time for which an upstream is left out, the time
// between trials while an outcome is missing, and the time between trials if no
// upstream is up.
const trialInterval = time.Second

// state is what is known of an upstream.
type state struct {
	*Upstream
	weight   int
	requests atomic.Uint64
	failed   atomic.Uint64
	retried  atomic.Uint64
	active   atomic.Int64 // requests in flight, if there is no Active
	troubled atomic.Bool  // a success would change something

	// What follows is guarded by Balancer.mu.
	credit    int           // for turn
	load      int           // for leastConn
	key       uint64        // of the name, for hash; 0: not known yet
	connects  recent        // failures to connect
	responses recent        // failures of responses since the last one that succeeded
	ejected   bool          // left out until a trial succeeds
	pause     time.Duration // how long it was left out last; 0: it wasn't since it was well
	paused    time.Time     // when it was ejected, or tried last since then
	until     time.Time     // when it may be tried, if it is ejected
	why       error         // it was ejected
	unreached bool          // it was ejected because it couldn't be reached
	passed    int           // checks in a row since it was ejected
	checks    checkState
	changed   time.Time // when it went up or down
}

// recent counts failures within a time that begins with the first of them.
type recent struct {
	n     int
	since time.Time
}

// add counts a failure, and returns how many there were within the time.
func (r *recent) add(now time.Time, within time.Duration) int {
	if r.n == 0 || now.Sub(r.since) > within {
		*r = recent{since: now}
	}
	r.n++
	return r.n
}

func (s *state) up() bool { return !s.ejected && !s.checks.down }

// reason returns why the upstream isn't up.
func (s *state) reason() error {
	switch {
	case s.checks.down:
		return s.checks.why
	case s.ejected:
		return s.why
	}
	return nil
}

// due returns when an ejected upstream may be tried. The last resort, if no
// upstream is up, is tried each second.
func (s *state) due(lastResort bool) time.Time {
	if last := s.paused.Add(trialInterval); lastResort && last.Before(s.until) {
		return last
	}
	return s.until
}

// mayTry reports whether a request may go there now.
func (s *state) mayTry(now time.Time, lastResort bool) bool {
	return !s.checks.down && (!s.ejected || !now.Before(s.due(lastResort)))
}

// begin notes that a request goes there, and reports whether it is on trial.
func (s *state) begin(now time.Time) (trial bool) {
	if s.ejected {
		s.paused, s.until = now, now.Add(trialInterval)
	}
	return s.ejected
}

// restore ends the time for which the upstream is left out.
func (s *state) restore() {
	s.connects, s.responses = recent{}, recent{}
	s.ejected, s.pause, s.why = false, 0, nil
	s.troubled.Store(false)
}

// checked notes the outcome of a check. Checks that pass show that an upstream can be
// reached, and so end the time for which it is left out because it couldn't: otherwise
// one that gets no requests, as a backup, would stay down for ever. They don't show that
// it responds to other requests.
func (s *state) checked(h *Health, err error) {
	s.checks.note(h, err)
	if !s.ejected || !s.unreached || err != nil {
		s.passed = 0
		return
	}
	if s.passed++; s.passed >= cmp.Or(h.Rise, DefaultRise) {
		s.restore()
	}
}

// inFlight returns the number of requests in flight.
func (s *state) inFlight() int {
	if s.Active != nil {
		return s.Active()
	}
	return int(s.active.Load())
}

// wait returns the time until an upstream may be tried, if none may now.
func (b *Balancer) wait(now time.Time) time.Duration {
	lastResort := !b.anyUp(nil)
	wait := max(b.failTimeout(), b.Health.interval())
	for _, s := range b.states {
		next := b.Health.interval()
		if !s.checks.down {
			next = s.due(lastResort).Sub(now)
		}
		wait = min(wait, next)
	}
	return max(wait, time.Millisecond)
}

// anyUp reports whether an upstream other than except is up.
func (b *Balancer) anyUp(except *state) bool {
	return slices.ContainsFunc(b.states, func(s *state) bool { return s != except && s.up() })
}

func (b *Balancer) failTimeout() time.Duration { return cmp.Or(b.FailTimeout, DefaultFailTimeout) }

// succeeded notes that u responded.
func (b *Balancer) succeeded(u *state) {
	if !u.troubled.Load() {
		return
	}
	b.change(u, func(time.Time) {
		if u.ejected {
			u.restore()
			return
		}
		u.responses = recent{}
		u.troubled.Store(false)
	})
}

// fault notes that a request failed at u by u's fault. One that began before u
// was ejected shows nothing new.
func (b *Balancer) fault(u *state, trial bool, f failure, err error) {
	b.change(u, func(now time.Time) {
		if u.ejected && !trial {
			return
		}
		count := &u.connects
		if !f.connecting() {
			if !b.anyUp(u) {
				if u.ejected {
					u.restore() // it is reached, and nobody would do better
				}
				return
			}
			count = &u.responses
			u.troubled.Store(true)
		}
		n, most := count.add(now, b.failTimeout()), cmp.Or(b.MaxFails, DefaultMaxFails)
		if most < 0 || !u.ejected && n < most && !refused(err) {
			return
		}
		u.pause = min(max(trialInterval, 2*u.pause), b.failTimeout())
		u.ejected, u.paused, u.until, u.why = true, now, now.Add(u.pause), err
		u.unreached, u.passed = f.connecting(), 0
		u.troubled.Store(true)
	})
}

// abandon notes that a request had no outcome which shows the state of u.
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

// refused reports whether nobody listens at the upstream's address.
func refused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) // the latter for a unix socket
}

// Status is what is known of an upstream, for people.
type Status struct {
	Name     string
	Weight   int
	Backup   bool
	Up       bool
	Why      error     // it isn't up
	Since    time.Time // when it went up or down; at first, when the Balancer began
	Active   int       // requests in flight
	Recent   int       // failures that count towards MaxFails
	Requests uint64    // that were sent there
	Failed   uint64    // of these, by its fault
	Retried  uint64    // that failed there, and were sent once more
}

// Status returns the state of each upstream, in their order.
func (b *Balancer) Status() []Status {
	b.init()
	all := make([]Status, 0, len(b.states))
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.states {
		all = append(all, Status{
			Name: s.Name, Weight: s.weight, Backup: s.Backup, Up: s.up(), Why: s.reason(), Since: s.changed,
			Active: s.inFlight(), Recent: s.connects.n + s.responses.n, Requests: s.requests.Load(), Failed: s.failed.Load(), Retried: s.retried.Load(),
		})
	}
	return all
}
