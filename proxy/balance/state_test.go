package balance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mkd/proxy/roundtrip"
)

// scripted is an upstream that behaves as a test sets it.
type scripted struct {
	err   error
	mu    sync.Mutex
	calls int
	block chan struct{} // not nil: it waits for it
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.calls++
	s.mu.Unlock()
	if s.block != nil {
		select {
		case <-s.block:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if s.err != nil {
		return nil, s.err
	}
	return &http.Response{Body: http.NoBody, StatusCode: 500}, nil // a status isn't a failure
}

var errRefused = &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}

// retryAfter returns the time in a *DownError; 0: the error is another one.
func retryAfter(err error) time.Duration {
	var down *DownError
	if errors.As(err, &down) {
		return down.RetryAfter
	}
	return 0
}

func scriptedBalancer(all ...*scripted) (*Balancer, *bytes.Buffer) {
	var log bytes.Buffer
	b := &Balancer{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	for i, s := range all {
		b.Upstreams = append(b.Upstreams, &Upstream{Name: string(rune('a' + i)), Transport: s})
	}
	return b, &log
}

// TestEjection leaves an upstream out after 3 failures, for a time that doubles,
// and takes it back when a trial succeeds.
func TestEjection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad, good := &scripted{err: &faultError{failure: failure{sent: true, responded: true}}}, &scripted{}
		b, log := scriptedBalancer(bad, good)
		send := func(n int) {
			for range n {
				b.RoundTrip(get(t))
			}
		}
		send(4)
		if bad.calls != 2 || !b.Status()[0].Up {
			t.Fatalf("%d calls", bad.calls)
		}
		send(1)
		if s := b.Status()[0]; s.Up || s.Recent != 3 || s.Failed != 3 || s.Why != bad.err || s.Since != time.Now() {
			t.Fatalf("%+v", s)
		}
		calls := 3
		for _, pause := range []time.Duration{1, 2, 4, 8, 10, 10} {
			time.Sleep(pause*time.Second - 1)
			send(10)
			if bad.calls != calls {
				t.Fatalf("it was tried before %d s", pause)
			}
			time.Sleep(time.Nanosecond)
			send(10)
			if calls++; bad.calls != calls {
				t.Fatalf("%d calls after %d s, want %d", bad.calls, pause, calls)
			}
		}
		bad.err = nil
		time.Sleep(10 * time.Second)
		send(10)
		if bad.calls != calls+5 || !b.Status()[0].Up || b.Status()[0].Recent != 0 {
			t.Fatalf("%d calls, %+v", bad.calls-calls, b.Status()[0])
		}
		// It begins anew.
		bad.err = errRefused
		send(2)
		if b.Status()[0].Up {
			t.Fatal("refusing doesn't eject at once")
		}
		bad.err = nil
		time.Sleep(time.Second)
		if send(2); !b.Status()[0].Up {
			t.Fatal("it isn't back after 1 s")
		}
		if down, up := strings.Count(log.String(), "upstream is down"), strings.Count(log.String(), "upstream is up again"); down != 2 || up != 2 {
			t.Errorf("%d, %d in the log:\n%s", down, up, log)
		}
		if !strings.Contains(log.String(), "it failed") || !strings.Contains(log.String(), "upstream=a") {
			t.Error(log)
		}
	})
}

// TestInnocent checks failures that aren't the upstream's fault.
func TestInnocent(t *testing.T) {
	for _, err := range []error{
		&faultError{failure: failure{blame: blameNobody}},
		&faultError{failure: failure{blame: blameRequest}},
		&faultError{failure: failure{sent: true, stale: true}},
	} {
		s := &scripted{err: err}
		b, log := scriptedBalancer(s)
		for range 10 {
			b.RoundTrip(get(t))
		}
		if st := b.Status()[0]; !st.Up || st.Recent != 0 || st.Failed != 0 || log.Len() > 0 {
			t.Errorf("%+v: %+v", err, st)
		}
	}
	// Successes in between set the count of bad responses to 0.
	s := &scripted{}
	b, _ := scriptedBalancer(s, &scripted{})
	for i := range 40 {
		if s.err = nil; i/2%3 > 0 {
			s.err = &faultError{failure: failure{sent: true, responded: true}}
		}
		b.RoundTrip(get(t))
	}
	if st := b.Status()[0]; !st.Up || st.Failed < 10 {
		t.Errorf("it is down: %+v", st)
	}
}

// TestBadResponsesLeaveTheLastUpstream checks that what upstreams respond, in
// whatever way it fails, takes the last one away from nobody.
func TestBadResponsesLeaveTheLastUpstream(t *testing.T) {
	for name, f := range map[string]*faultError{
		"malformed": {failure: failure{sent: true, responded: true}},
		"too slow":  {failure: failure{sent: true}, timeout: true},
		"cut off":   {failure: failure{sent: true}},
	} {
		for _, n := range []int{1, 2, 3} {
			var all []*scripted
			for range n {
				all = append(all, &scripted{err: f})
			}
			b, _ := scriptedBalancer(all...)
			for range 20 {
				if _, err := b.RoundTrip(get(t)); errors.As(err, new(*DownError)) {
					t.Fatalf("%s, %d upstreams: %v", name, n, err)
				}
			}
			up := 0
			for _, s := range b.Status() {
				if s.Up {
					up++
				}
			}
			if up != 1 {
				t.Errorf("%s, %d upstreams: %d are up", name, n, up)
			}
		}
	}
}

// TestKindsOfFailuresApart: a response that succeeds, and one that doesn't, leave the count of
// failures to connect as it is.
func TestKindsOfFailuresApart(t *testing.T) {
	unreached, malformed := &faultError{}, &faultError{failure: failure{sent: true, responded: true}}
	for _, others := range []int{0, 1} {
		s := &scripted{}
		all := []*scripted{s}
		for range others {
			all = append(all, &scripted{})
		}
		b, _ := scriptedBalancer(all...)
		for i, err := range []error{unreached, malformed, nil, unreached, malformed, unreached} {
			if !b.Status()[0].Up {
				t.Errorf("%d others: down after %d requests", others, i)
			}
			s.err = err
			for calls := s.calls; s.calls == calls; {
				b.RoundTrip(get(t))
			}
		}
		if b.Status()[0].Up {
			t.Errorf("%d others: up after three failures to connect", others)
		}
	}
}

// TestNoSocket: an upstream whose unix socket isn't there is left out at once.
func TestNoSocket(t *testing.T) {
	b, _ := scriptedBalancer(&scripted{err: &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENOENT)}}, &scripted{})
	if b.RoundTrip(get(t)); b.Status()[0].Up {
		t.Error("it is up")
	}
}

// TestTrialWithoutBody: a trial of which the body can't be had shows nothing. The next request
// is the trial.
func TestTrialWithoutBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := &scripted{err: errRefused}, &scripted{err: errRefused}
		b, _ := scriptedBalancer(one, two)
		b.RoundTrip(get(t))
		time.Sleep(time.Second)
		r := get(t)
		r.Body = &stream{Reader: strings.NewReader("body")}
		r.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("gone") }
		calls := one.calls + two.calls
		b.RoundTrip(r)
		if n := one.calls + two.calls - calls; n != 1 {
			t.Fatalf("%d calls", n)
		}
		one.err, two.err = nil, nil
		if _, err := b.RoundTrip(get(t)); err != nil {
			t.Error(err)
		}
	})
}

// TestReachedAgain checks that the last upstream is back when its trial shows
// that it is reached, though the response is bad.
func TestReachedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{err: errRefused}
		b, _ := scriptedBalancer(s)
		b.RoundTrip(get(t))
		s.err = &faultError{failure: failure{sent: true, responded: true}}
		time.Sleep(time.Second)
		b.RoundTrip(get(t))
		if !b.Status()[0].Up {
			t.Error("it is down")
		}
	})
}

// TestMaxFails counts failures to connect within a time, whatever succeeds
// meanwhile.
func TestMaxFails(t *testing.T) {
	unreached := &faultError{}
	for _, c := range []struct {
		maxFails int
		pause    time.Duration // between two failures
		want     int           // failures until it is down; 0: it isn't
	}{
		{0, time.Second, 3},
		{0, 5 * time.Second, 3},
		{0, 5001 * time.Millisecond, 0},
		{1, time.Minute, 1},
		{5, 100 * time.Millisecond, 5},
		{-1, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &scripted{}
			b, _ := scriptedBalancer(s, &scripted{})
			b.MaxFails = c.maxFails
			got := 0
			for i := 1; i <= 10 && got == 0; i++ {
				s.err = unreached
				b.RoundTrip(get(t)) // each upstream has a turn, and the failed one is repeated
				s.err = nil
				b.RoundTrip(get(t))
				if !b.Status()[0].Up {
					got = i
				}
				time.Sleep(c.pause)
			}
			if got != c.want {
				t.Errorf("max fails %d, one each %v: down after %d failures, want %d", c.maxFails, c.pause, got, c.want)
			}
		})
	}
	// Not even refusing ejects if nothing is to.
	b, _ := scriptedBalancer(&scripted{err: errRefused})
	b.MaxFails = -1
	b.RoundTrip(get(t))
	if !b.Status()[0].Up {
		t.Error("it is down though no failure is to eject it")
	}
}

// TestLone: a lone upstream is left out for 1 s, never longer. All fails at
// once in that time.
func TestLone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{err: errRefused}
		b, _ := scriptedBalancer(s)
		for i := range 5 {
			_, err := b.RoundTrip(get(t))
			if retryAfter(err) != 0 || s.calls != i+1 {
				t.Fatalf("%d: %v, %d calls", i, err, s.calls)
			}
			time.Sleep(300 * time.Millisecond)
			if _, err := b.RoundTrip(get(t)); retryAfter(err) != 700*time.Millisecond || s.calls != i+1 {
				t.Fatalf("%d: %v, %d calls", i, err, s.calls)
			}
			time.Sleep(700 * time.Millisecond)
		}
		s.err = nil
		if _, err := b.RoundTrip(get(t)); err != nil {
			t.Error(err)
		}
	})
}

// TestTrial lets one request through at a time while it isn't known whether the
// upstream is well.
func TestTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{err: errRefused}
		b, _ := scriptedBalancer(s)
		b.RoundTrip(get(t))
		time.Sleep(time.Second)
		s.err, s.block, s.calls = nil, make(chan struct{}), 0
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		go func() { _, err := b.RoundTrip(get(t).WithContext(ctx)); done <- err }()
		synctest.Wait()
		if _, err := b.RoundTrip(get(t)); retryAfter(err) != time.Second || s.calls != 1 {
			t.Fatalf("%v, %d calls", err, s.calls)
		}
		// The trial ends without an outcome: the next one is tried at once.
		cancel()
		if err := <-done; err != context.Canceled {
			t.Fatal(err)
		}
		go func() { _, err := b.RoundTrip(get(t)); done <- err }()
		synctest.Wait()
		if _, err := b.RoundTrip(get(t)); retryAfter(err) == 0 || s.calls != 2 {
			t.Fatalf("%v, %d calls", err, s.calls)
		}
		// It takes long: another one is tried.
		time.Sleep(time.Second)
		go func() { _, err := b.RoundTrip(get(t)); done <- err }()
		synctest.Wait()
		if s.calls != 3 || b.Status()[0].Up {
			t.Fatalf("%d calls", s.calls)
		}
		close(s.block)
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if !b.Status()[0].Up {
			t.Error("it is down")
		}
	})
}

// TestLateFailures has requests fail that began before the upstream was ejected:
// they don't lengthen the time.
func TestLateFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{err: errRefused, block: make(chan struct{})}
		b, _ := scriptedBalancer(s, &scripted{err: &faultError{failure: failure{blame: blameRequest}}})
		done := make(chan bool)
		for range 20 {
			go func() { b.RoundTrip(get(t)); done <- true }()
		}
		synctest.Wait()
		close(s.block)
		for range 20 {
			<-done
		}
		s.err, s.calls = nil, 0
		time.Sleep(time.Second)
		for range 2 {
			b.RoundTrip(get(t))
		}
		if s.calls != 1 || !b.Status()[0].Up {
			t.Errorf("%d calls, %+v", s.calls, b.Status()[0])
		}
	})
}

// TestAllDown reports when the first of them may be tried.
func TestAllDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := &scripted{err: errRefused}, &scripted{err: errRefused}
		b, _ := scriptedBalancer(one, two)
		var unreachable *UnreachableError
		if _, err := b.RoundTrip(get(t)); !errors.As(err, &unreachable) || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // both fail again
		b.RoundTrip(get(t))
		time.Sleep(500 * time.Millisecond)
		if _, err := b.RoundTrip(get(t)); retryAfter(err) != 500*time.Millisecond { // not 1.5 s: nobody else is up
			t.Fatal(err)
		}
		if one.calls != 2 || two.calls != 2 {
			t.Errorf("%d, %d calls", one.calls, two.calls)
		}
	})
}

// TestHealth follows the checks of an upstream.
func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sick atomic.Bool
		var checks, hangs atomic.Int32
		b, log := scriptedBalancer(&scripted{}, &scripted{})
		b.Health = Health{Interval: time.Second, Timeout: 100 * time.Millisecond, Rise: 2, Fall: 3}
		b.Upstreams[0].Check = func(ctx context.Context) error {
			checks.Add(1)
			if hangs.Load() > 0 {
				<-ctx.Done()
				return context.Cause(ctx)
			}
			if sick.Load() {
				return fmt.Errorf("status 500")
			}
			return nil
		}
		b.Start(t.Context())
		step := func(n int, up bool) {
			t.Helper()
			for i := range n {
				time.Sleep(time.Second)
				synctest.Wait()
				if s := b.Status()[0]; s.Up != (up && i == n-1 || !up && i < n-1) {
					t.Fatalf("after %d checks: %+v", i+1, s)
				}
			}
		}
		synctest.Wait()
		if checks.Load() != 1 || !b.Status()[0].Up {
			t.Fatal("it isn't checked at once")
		}
		time.Sleep(500 * time.Millisecond)
		sick.Store(true)
		for range 2 { // that isn't three in a row
			step(1, true)
			step(1, true)
			sick.Store(false)
			step(1, true)
			sick.Store(true)
		}
		step(3, false)
		if got := picks(b, 3); got != "bbb" {
			t.Error(got)
		}
		down := time.Now()
		for range 2 {
			sick.Store(false)
			time.Sleep(time.Second)
			synctest.Wait()
			sick.Store(true)
			time.Sleep(time.Second)
			synctest.Wait()
			if s := b.Status()[0]; s.Up || s.Why == nil || s.Why.Error() != "status 500" || time.Since(s.Since) != time.Since(down)+500*time.Millisecond {
				t.Errorf("%+v", s)
			}
		}
		sick.Store(false)
		step(2, true)
		if !strings.Contains(log.String(), "down_for=6s") {
			t.Error(log)
		}
		hangs.Store(1)
		step(3, false)
		if s := b.Status()[0]; s.Why != errCheckTimeout {
			t.Errorf("%+v", s)
		}
		// A request that succeeds doesn't make it well.
		b.succeeded(b.states[0])
		if b.Status()[0].Up {
			t.Error("it is up")
		}
		b.Close()
		n := checks.Load()
		time.Sleep(10 * time.Second)
		if checks.Load() != n {
			t.Error("checks go on after Close")
		}
		if down, up := strings.Count(log.String(), "upstream is down"), strings.Count(log.String(), "upstream is up again"); down != 2 || up != 1 {
			t.Errorf("%d, %d in the log:\n%s", down, up, log)
		}
	})
}

// TestCloseWaitsForChecks: after Close no check is in flight.
func TestCloseWaitsForChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Bool
		b, _ := scriptedBalancer(&scripted{})
		b.Upstreams[0].Check = func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(time.Second)
			ended.Store(true)
			return ctx.Err()
		}
		b.Start(t.Context())
		synctest.Wait()
		if b.Close(); !ended.Load() {
			t.Error("a check is in flight")
		}
	})
}

// TestBusyCheck: a check that the server is too busy for counts neither way.
func TestBusyCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var outcome atomic.Pointer[error]
		outcome.Store(new(error))
		b, log := scriptedBalancer(&scripted{})
		b.Health = Health{Interval: time.Second, Rise: 2, Fall: 3}
		b.Upstreams[0].Check = func(context.Context) error { return *outcome.Load() }
		b.Start(t.Context())
		defer b.Close()
		run := func(err error, times int, up bool) {
			t.Helper()
			outcome.Store(&err)
			time.Sleep(time.Duration(times) * time.Second)
			synctest.Wait()
			if s := b.Status()[0]; s.Up != up {
				t.Errorf("after %d times %v: %+v", times, err, s)
			}
		}
		synctest.Wait()
		busy, sick := &roundtrip.Error{Op: "connecting", Err: roundtrip.ErrBusy}, errors.New("status 500")
		run(busy, 5, true)
		run(sick, 2, true)
		run(busy, 5, true)
		run(sick, 1, false)
		run(busy, 5, false)
		run(nil, 2, true)
		if down := strings.Count(log.String(), "upstream is down"); down != 1 {
			t.Errorf("%d times down in the log:\n%s", down, log)
		}
	})
}

// TestHealthBringsBack: checks that pass bring an upstream back that couldn't be reached,
// also if no request tries it. One whose responses failed stays out until a request does.
func TestHealthBringsBack(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		fails int
		back  bool
	}{
		{"refused", errRefused, 1, true},
		{"malformed responses", &faultError{failure: failure{sent: true, responded: true}}, 3, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			bad := &scripted{err: c.err}
			b, log := scriptedBalancer(bad, &scripted{})
			b.Health = Health{Interval: 5 * time.Second, Rise: 2, Fall: 3}
			var refuses atomic.Bool
			b.Upstreams[0].Check = func(context.Context) error {
				if refuses.Load() {
					return c.err
				}
				return nil
			}
			b.Start(t.Context())
			defer b.Close()
			synctest.Wait()
			for bad.calls < c.fails {
				b.RoundTrip(get(t))
			}
			refuses.Store(true)
			time.Sleep(5*time.Second + 1)
			if b.Status()[0].Up {
				t.Fatalf("%s: it is up", c.name)
			}
			for range 2 { // one that fails in between
				refuses.Store(false)
				time.Sleep(5 * time.Second)
				if b.Status()[0].Up {
					t.Errorf("%s: it is up after one check", c.name)
				}
				refuses.Store(true)
				time.Sleep(5 * time.Second)
			}
			refuses.Store(false)
			time.Sleep(5 * time.Second)
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if b.Status()[0].Up != c.back {
				t.Errorf("%s: after two checks: %+v", c.name, b.Status()[0])
			}
			if up := strings.Contains(log.String(), "upstream is up again"); up != c.back {
				t.Errorf("%s: logged: %s", c.name, log)
			}
		})
	}
}

// TestBoth: an upstream that is down for two reasons is up when neither is left.
func TestBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{err: errRefused}
		b, log := scriptedBalancer(s)
		b.Health = Health{Interval: 3 * time.Second, Rise: 1, Fall: 1}
		var healthy atomic.Bool
		b.Upstreams[0].Check = func(context.Context) error {
			if healthy.Load() {
				return nil
			}
			return errors.New("ill")
		}
		b.RoundTrip(get(t))
		b.Start(t.Context())
		defer b.Close()
		synctest.Wait()
		if _, err := b.RoundTrip(get(t)); retryAfter(err) != 3*time.Second {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		if _, err := b.RoundTrip(get(t)); retryAfter(err) == 0 {
			t.Error("it is tried although checks fail")
		}
		healthy.Store(true)
		s.err = nil
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !b.Status()[0].Up {
			t.Error("it is down though checks pass")
		}
		if _, err := b.RoundTrip(get(t)); err != nil || !b.Status()[0].Up {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("%d lines:\n%s", n, log)
		}
	})
}
