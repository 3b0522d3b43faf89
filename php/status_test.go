package php

import (
	"io"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// TestEndings has workers end for each reason that a call can bring about.
func TestEndings(t *testing.T) {
	for _, c := range []struct {
		name string
		opt  Options
		do   func(p *Pool)
		want Ending
	}{
		{"max_requests", Options{MaxRequests: 1}, func(p *Pool) { mustDo(t, p, "pid"); mustDo(t, p, "pid") }, EndedMaxRequests},
		{"max_age", Options{MaxAge: 100 * time.Millisecond}, func(*Pool) {}, EndedMaxAge},
		{"memory_limit", Options{MemoryLimit: 8 << 20, MemoryCeiling: 64 << 20}, func(p *Pool) { mustDo(t, p, "leak 16777216") }, EndedMemory},
		{"timeout", Options{Timeout: 200 * time.Millisecond}, func(p *Pool) { do(p, "sleep 100000") }, EndedTimeout},
		{"exit", Options{}, func(p *Pool) { do(p, "exit") }, EndedScript},
		{"crash", Options{}, func(p *Pool) { do(p, "segfault") }, EndedCrash},
		{"replaced", Options{}, func(p *Pool) { p.Replace(t.Context()) }, EndedReplaced},
		{"shutdown", Options{}, func(p *Pool) { p.Close() }, EndedShutdown},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opt.MinWorkers, c.opt.MaxWorkers = 1, 1
			p, _ := start(t, c.opt)
			c.do(p)
			eventually(t, "a worker has ended", func() bool { return p.Status().Counts.Ended[c.want] > 0 })
			for why, n := range p.Status().Counts.Ended {
				if n > 0 && Ending(why) != c.want {
					t.Errorf("%d workers ended for the reason %v", n, Ending(why))
				}
			}
		})
	}
}

// TestStatusShowsTheCall: a worker's status has the request that it serves, without
// its query, and a call that waits is counted.
func TestStatusShowsTheCall(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: script(t, `
		$ARCANGELO_USERSPACE = ['on_http' => function ($r) {
			while (!file_exists($_GET['until'])) { usleep(1000); clearstatcache(); }
			return '';
		}];`)})
	message, open := blocker(t)
	var wg sync.WaitGroup
	send := func() {
		wg.Go(func() {
			r := httptest.NewRequest("GET", "/shop/cart?until="+message[len("until "):], nil)
			if err := p.DoHTTP(t.Context(), &HTTPCall{Request: r, RequestURI: r.RequestURI, Route: "shop"}, discardResponse{io.Discard}); err != nil {
				t.Error(err)
			}
		})
	}
	send()
	eventually(t, "the worker shows its call", func() bool {
		w := p.Status().Workers[0]
		return w.Busy && w.Method == "GET" && w.Path == "/shop/cart" && w.Route == "shop"
	})
	send()
	eventually(t, "a call waits", func() bool { return p.Status().Waiting == 1 })
	open()
	wg.Wait()
	eventually(t, "the worker is idle", func() bool {
		w := p.Status().Workers[0]
		return !w.Busy && w.Method == "" && w.Path == "" && w.Route == ""
	})
	if s := p.Status(); s.Wait.Count() != 2 || s.Wait.Sum <= 0 || s.Waiting != 0 {
		t.Errorf("%d calls waited for %v, %d wait", s.Wait.Count(), s.Wait.Sum, s.Waiting)
	}
}
