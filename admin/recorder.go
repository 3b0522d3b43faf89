package admin

import (
	"context"
	"encoding/json"
	"math"
	"sync"
	"time"

	"mkd/histogram"
)

const (
	historySize = 300 // seconds that History keeps
	// Rates and quantiles are those of the last recentSize marks, one each markEvery
	// seconds: of a minute.
	markEvery  = 5
	recentSize = 12
)

// Point is what the page draws of one second.
type Point struct {
	Requests    float64 `json:"requests"` // that ended in it
	Errors      float64 `json:"errors"`   // of these, with a status of 5xx
	P99         float64 `json:"p99"`      // of the last minute, in seconds
	Connections float64 `json:"connections"`
	Sessions    float64 `json:"sessions"` // that have a connection
	Busy        float64 `json:"busy"`     // PHP workers
	Waiting     float64 `json:"waiting"`  // requests in queues
	Memory      float64 `json:"memory"`   // resident, in bytes
}

// event is what a stream sends: the history first, and then each second's state.
type event struct {
	Control bool    `json:"control"` // whether actions can be asked for here
	History []Point `json:"history,omitempty"`
	Point   *Point  `json:"point,omitempty"`
	Status  *Status `json:"status"`
}

// recorder looks at the daemon once a second. It keeps the last five minutes for
// the page, and what is needed to know the last minute's rates and quantiles.
type recorder struct {
	source Source

	mu      sync.Mutex
	history []Point
	seconds int           // since the start
	last    mark          // of the last second
	marks   []mark        // the oldest first
	tick    chan struct{} // closed at the next second
	streams int
	latest  []byte // an event of the last second, if there are streams
}

// mark is what was counted at a time.
type mark struct {
	at       time.Time
	routes   map[routeKey]*routeMark
	waits    map[string]histogram.Snapshot // by backend
	requests uint64
	errors   uint64
	all      histogram.Snapshot
}

type routeKey struct{ name, backend string }

type routeMark struct {
	requests, errors uint64
	in, out          uint64
	classes          [5]uint64
	duration         histogram.Snapshot
}

func newRecorder(s Source) *recorder { return &recorder{source: s, tick: make(chan struct{})} }

// run records until ctx ends.
func (r *recorder) run(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.record()
		}
	}
}

// record looks at the daemon.
func (r *recorder) record() {
	st := r.source.Status()
	m := markOf(st)
	r.mu.Lock()
	defer r.mu.Unlock()
	recent := r.decorate(st, &m)
	p := pointOf(st)
	if r.seconds > 0 { // in its first second nothing is known
		p.Requests, p.Errors = float64(m.requests-r.last.requests), float64(m.errors-r.last.errors)
	}
	p.P99 = recent.Quantile(0.99).Seconds()
	r.history = append(r.history, p)
	if len(r.history) > historySize {
		r.history = append(r.history[:0], r.history[1:]...)
	}
	if r.seconds%markEvery == 0 {
		r.marks = append(r.marks, m)
		if len(r.marks) > recentSize+1 {
			r.marks = append(r.marks[:0], r.marks[1:]...)
		}
	}
	r.last = m
	r.seconds++
	r.latest = nil
	if r.streams > 0 {
		r.latest, _ = json.Marshal(event{Point: &p, Status: st})
	}
	close(r.tick)
	r.tick = make(chan struct{})
}

// status returns the state of the daemon with its routes.
func (r *recorder) status() *Status {
	st := r.source.Status()
	m := markOf(st)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decorate(st, &m)
	return st
}

// markOf adds up what was counted.
func markOf(st *Status) mark {
	m := mark{at: st.Now, routes: make(map[routeKey]*routeMark), waits: make(map[string]histogram.Snapshot)}
	for c := range st.AllCounts() {
		key := routeKey{c.Route, c.Backend}
		of := m.routes[key]
		if of == nil {
			of = new(routeMark)
			m.routes[key] = of
		}
		n := c.Requests()
		of.requests, of.errors = of.requests+n, of.errors+c.Classes[4]
		of.in, of.out = of.in+c.In, of.out+c.Out
		for class, n := range c.Classes {
			of.classes[class] += n
		}
		of.duration.Add(&c.Duration)
		m.requests, m.errors = m.requests+n, m.errors+c.Classes[4]
		m.all.Add(&c.Duration)
	}
	for _, b := range st.Backends {
		if b.Pool != nil {
			m.waits[b.Name] = b.Pool.Wait
		}
	}
	return m
}

// decorate adds the routes to st, and what is only known from the past: rates and
// quantiles. It returns the durations of the last minute.
func (r *recorder) decorate(st *Status, now *mark) histogram.Snapshot {
	then := mark{}
	seconds := 0.0
	if len(r.marks) > 0 {
		then = r.marks[0]
		seconds = max(now.at.Sub(then.at).Seconds(), 1)
	}
	st.Routes = []Route{}
	seen := make(map[routeKey]bool) // several listeners have a route
	for i := range st.Counts {
		key := routeKey{st.Counts[i].Route, st.Counts[i].Backend}
		of := now.routes[key]
		if seen[key] || key.name == "none" && of.requests == 0 {
			continue
		}
		seen[key] = true
		before := then.routes[key]
		if before == nil || before.requests > of.requests { // a reload has brought the route back
			before = new(routeMark)
		}
		rt := Route{Name: key.name, Backend: key.backend, Requests: of.requests, In: of.in, Out: of.out, Statuses: statusesOf(&of.classes)}
		if n := of.requests - before.requests; seconds > 0 && n > 0 {
			rt.Rate = round(float64(n) / seconds)
			rt.Errors = round(float64(of.errors-before.errors) / float64(n))
		}
		recent := of.duration.Since(&before.duration)
		rt.P50, rt.P99 = recent.Quantile(0.5).Seconds(), recent.Quantile(0.99).Seconds()
		st.Routes = append(st.Routes, rt)
	}
	for i := range st.Backends {
		if b := &st.Backends[i]; b.Pool != nil {
			before := then.waits[b.Name]
			recent := b.Pool.Wait.Since(&before)
			b.Pool.WaitP99 = recent.Quantile(0.99).Seconds()
		}
	}
	return now.all.Since(&then.all)
}

// statusesOf names the classes that were seen.
func statusesOf(classes *[5]uint64) map[string]uint64 {
	by := make(map[string]uint64)
	for i, n := range classes {
		if n > 0 {
			by[classNames[i]] = n
		}
	}
	return by
}

var classNames = [5]string{"1xx", "2xx", "3xx", "4xx", "5xx"}

// round leaves three digits after the point.
func round(x float64) float64 { return math.Round(x*1000) / 1000 }

// pointOf returns what is known of this second alone.
func pointOf(st *Status) (p Point) {
	for _, l := range st.Listeners {
		p.Connections += float64(l.Connections)
	}
	for _, b := range st.Backends {
		if b.Pool == nil {
			continue
		}
		p.Waiting += float64(b.Pool.Waiting)
		for _, w := range b.Pool.Workers {
			if w.State != WorkerIdle {
				p.Busy++
			}
		}
	}
	p.Sessions, p.Memory = float64(st.Sessions.Live), float64(st.Memory.Resident)
	return p
}

// join begins a stream, and reports false if there are too many. It returns the last
// five minutes, and what is closed at the next second.
func (r *recorder) join() (history []Point, tick <-chan struct{}, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.streams >= maxStreams {
		return nil, nil, false
	}
	r.streams++
	return append([]Point(nil), r.history...), r.tick, true
}

// leave ends a stream.
func (r *recorder) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.streams--
}

// next returns the event of the last second, and what is closed at the next one.
func (r *recorder) next() ([]byte, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.latest, r.tick
}
