package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"mkd/histogram"
)

// serveScope serves a source on a listener of a scope, and returns its URL.
func serveScope(t *testing.T, source Source, scope Scope) string {
	t.Helper()
	l, err := ListenTCP("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Control: new(fakeDaemon), Source: source}
	done := make(chan error)
	go func() { done <- s.Serve(l, scope) }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// ask sends a request and returns the status and the body.
func ask(t *testing.T, method, url, host string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		r.Host = host
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Header
}

// TestScopes: each listener has what it is for, and no more.
func TestScopes(t *testing.T) {
	source := new(fakeSource)
	for _, c := range []struct {
		scope Scope
		want  map[string]int // statuses
	}{
		{Socket, map[string]int{"GET /": 200, "GET /page.js": 200, "GET /status": 200, "GET /sessions": 200, "GET /metrics": 200, "GET /healthz": 200, "GET /readyz": 200,
			"POST /drain": 200, "POST /workers/restart": 200, "GET /drain": 405, "GET /page": 404, "POST /status": 405}},
		{ReadOnly, map[string]int{"GET /": 200, "GET /page.css": 200, "GET /status": 200, "GET /sessions": 200, "GET /metrics": 200, "GET /healthz": 200, "GET /readyz": 200,
			"POST /drain": 404, "POST /workers/restart": 404}},
		{Monitoring, map[string]int{"GET /": 404, "GET /status": 404, "GET /sessions": 404, "GET /events": 404, "GET /metrics": 200, "GET /healthz": 200, "GET /readyz": 200, "POST /drain": 404}},
	} {
		url := serveScope(t, source, c.scope)
		for request, want := range c.want {
			method, path, _ := strings.Cut(request, " ")
			if got, body, _ := ask(t, method, url+path, ""); got != want {
				t.Errorf("scope %d, %s: %d %q, want %d", c.scope, request, got, body, want)
			}
		}
	}
}

// TestForeignHost: a name that an attacker has resolved to this machine reaches
// nothing but what is for everybody.
func TestForeignHost(t *testing.T) {
	for _, scope := range []Scope{Socket, ReadOnly} {
		url := serveScope(t, new(fakeSource), scope)
		for host, want := range map[string]int{"localhost": 200, "LOCALHOST:8080": 200, "127.0.0.1:1": 200, "[::1]": 200, "[::1]:8080": 200,
			"evil.example": 403, "evil.example:80": 403, "localhost.evil.example": 403, "127.0.0.2": 403} {
			if got, _, _ := ask(t, "GET", url+"/status", host); got != want {
				t.Errorf("Host %s: %d, want %d", host, got, want)
			}
		}
	}
	if got, _, _ := ask(t, "GET", serveScope(t, new(fakeSource), Monitoring)+"/metrics", "mkd.internal"); got != 200 {
		t.Errorf("metrics by another name: %d", got)
	}
}

func TestReady(t *testing.T) {
	source := new(fakeSource)
	url := serveScope(t, source, Monitoring)
	if got, body, _ := ask(t, "GET", url+"/readyz", ""); got != 200 || body != "ready\n" {
		t.Errorf("%d %q", got, body)
	}
	source.change(func(st *Status) { st.Sessions.StoreDown, st.Sessions.StoreError = true, "connection refused" })
	if got, body, _ := ask(t, "GET", url+"/readyz", ""); got != 200 || body != "ready\nwarning: the session store fails: connection refused\n" {
		t.Errorf("%d %q", got, body)
	}
	source.change(func(st *Status) { st.NotReady = []string{"mkd is draining", "backend a: no worker is ready"} })
	if got, body, _ := ask(t, "GET", url+"/readyz", ""); got != 503 || body != "mkd is draining\nbackend a: no worker is ready\n" {
		t.Errorf("%d %q", got, body)
	}
	if got, _, _ := ask(t, "GET", url+"/healthz", ""); got != 200 {
		t.Errorf("alive: %d", got)
	}
}

// TestPageIsClosed: the page loads nothing but its own files, and has no code or
// style in its HTML.
func TestPageIsClosed(t *testing.T) {
	url := serveScope(t, new(fakeSource), ReadOnly)
	size := 0
	for _, path := range []string{"/", "/page.css", "/page.js"} {
		_, body, header := ask(t, "GET", url+path, "")
		size += len(body)
		policy := header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, header)
		}
		for _, bad := range []string{"https://", "innerHTML", "style=\"", " onclick=\"", "eval("} {
			if strings.Contains(body, bad) {
				t.Errorf("%s has %s", path, bad)
			}
		}
	}
	if size > 25<<10 {
		t.Errorf("the page has %d bytes", size)
	}
}

// fullStatus is a state in which everything that is optional is there.
func fullStatus() Status {
	var h histogram.Histogram
	h.Observe(3 * time.Millisecond)
	now := time.Now()
	return Status{
		Version: "1.2", Go: "go1.26", State: "ready", Generation: 2, Failures: map[string]uint64{"busy": 1, "timed_out": 0}, LogDropped: map[string]uint64{"queue_full": 2},
		Counts: []Count{
			{Listener: "app", Route: "shop", Backend: "php", Classes: [5]uint64{0, 5, 0, 1, 2}, In: 10, Out: 20, Duration: h.Snapshot()},
			{Listener: "web", Route: "shop", Backend: "php", Classes: [5]uint64{1, 1, 1, 1, 1}, Duration: h.Snapshot()},
			{Listener: "web", Route: "none", Backend: "none"},
		},
		Listeners: []Listener{
			{Name: "app", Kind: "megaki", Megaki: &Megaki{Handshakes: map[string]uint64{"done": 1}, Resumptions: map[string]uint64{"done": 2}, Keys: []ServerKey{{ID: "ab", LastSeen: now}}}},
			{Name: "web", Kind: "https", TLSFailures: 3},
		},
		Backends: []Backend{
			{Name: "php", Kind: "php", Up: true, Pool: &Pool{Workers: []Worker{{PID: 1, State: WorkerHanging, Memory: 5}, {PID: 2, State: WorkerIdle, Memory: 7}}, Ended: map[string]int64{"crash": 1}, Wait: h.Snapshot()}},
			{Name: "api", Kind: "http", Upstreams: []Upstream{{Name: "http://a", Up: true}, {Name: "http://b"}}},
			{Name: "cgi", Kind: "fastcgi", CGI: &CGI{PIDs: []int{1}}},
		},
		Certificates: []Certificate{{Listener: "web", Source: "acme", Name: "example.org", NotAfter: now}, {Listener: "web", Source: "acme", Name: "example.com", Error: "refused"}},
	}
}

// TestMetricsLint has client_golang check names, units and help texts.
func TestMetricsLint(t *testing.T) {
	source := &fakeSource{st: fullStatus()}
	problems, err := testutil.CollectAndLint(&collector{source})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	url := serveScope(t, source, Monitoring)
	status, body, _ := ask(t, "GET", url+"/metrics", "")
	for _, want := range []string{
		`mkd_requests_total{backend="php",code="2xx",listener="app",route="shop"} 5`,
		`mkd_request_duration_seconds_bucket{backend="php",route="shop",le="0.0025"} 0`,
		`mkd_request_duration_seconds_bucket{backend="php",route="shop",le="0.005"} 2`,
		`mkd_request_duration_seconds_count{backend="php",route="shop"} 2`,
		`mkd_workers{backend="php",state="hanging"} 1`,
		`mkd_workers{backend="php",state="busy"} 0`,
		`mkd_worker_memory_bytes{backend="php"} 12`,
		`mkd_upstream_up{backend="api",upstream="http://b"} 0`,
		`mkd_certificate_failing{listener="web",name="example.com",source="acme"} 1`,
		`mkd_build_info{goversion="go1.26",version="1.2"} 1`,
		"go_goroutines ", "process_open_fds ",
	} {
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("%d, without %s", status, want)
		}
	}
}

// TestStream: the first event has the history, the next ones a second each.
func TestStream(t *testing.T) {
	source := &fakeSource{st: fullStatus()}
	url := serveScope(t, source, Socket)
	resp, err := http.Get(url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	next := func() (e event) {
		t.Helper()
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &e); err != nil {
					t.Fatal(err)
				}
				return e
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return e
	}
	first := next()
	if !first.Control || first.Point != nil || first.Status.Version != "1.2" || len(first.Status.Routes) != 1 {
		t.Errorf("%+v", first)
	}
	source.change(func(st *Status) {
		st.Counts = append([]Count(nil), st.Counts...)
		st.Counts[0].Classes[1] += 100
	})
	requests := 0.0
	for range 5 {
		if e := next(); e.Point == nil || e.Point.Busy != 1 {
			t.Errorf("%+v", e.Point)
		} else if requests += e.Point.Requests; requests == 100 {
			break
		}
	}
	if requests != 100 && requests != 0 { // 0: the change fell before the first look
		t.Errorf("%v requests were shown, want 100", requests)
	}
}

// TestStreamsAreBounded: beyond the bound a page gets 503, and a page that left makes
// room.
func TestStreamsAreBounded(t *testing.T) {
	r := newRecorder(new(fakeSource))
	for range maxStreams {
		if _, _, ok := r.join(); !ok {
			t.Fatal("there was room")
		}
	}
	if _, _, ok := r.join(); ok {
		t.Error("one more than the bound")
	}
	r.leave()
	if _, _, ok := r.join(); !ok {
		t.Error("no room although one left")
	}
}

// TestRecent: rates and quantiles are those of the last minute, and history keeps
// five.
func TestRecent(t *testing.T) {
	source := &fakeSource{st: Status{Counts: []Count{{Listener: "web", Route: "shop", Backend: "php"}}}}
	clock := time.Now()
	r := newRecorder(clocked{source, &clock})
	var h histogram.Histogram
	for range 2 * historySize {
		for range 10 {
			h.Observe(2 * time.Second)
		}
		source.change(func(st *Status) {
			c := st.Counts[0]
			c.Classes[1], c.Classes[4], c.Duration = c.Classes[1]+5, c.Classes[4]+5, h.Snapshot()
			st.Counts = []Count{c}
		})
		r.record()
		clock = clock.Add(time.Second)
	}
	st := r.status()
	if rt := st.Routes[0]; rt.Rate < 9.5 || rt.Rate > 10.5 || rt.Errors != 0.5 || rt.P50 < 1 || rt.P50 > 2.5 || rt.Requests != 20*historySize || rt.Statuses["5xx"] != 10*historySize {
		t.Errorf("%+v", rt)
	}
	if n := len(r.history); n != historySize || r.history[n-1].Requests != 10 || r.history[n-1].Errors != 5 {
		t.Errorf("%d points, the last is %+v", n, r.history[n-1])
	}
	clock = clock.Add(2 * time.Minute) // nothing happens for two minutes
	for range 20 * markEvery {
		r.record()
		clock = clock.Add(time.Second)
	}
	if rt := r.status().Routes[0]; rt.Rate != 0 || rt.P99 != 0 || rt.Requests != 20*historySize {
		t.Errorf("two minutes later: %+v", rt)
	}
}

// TestRatesAfterReload: a reload that removed a route made the page show 18 trillion million
// requests in a second. Of a route that comes back, and of a pool that is replaced, the
// counts begin anew.
func TestRatesAfterReload(t *testing.T) {
	var many, few histogram.Histogram
	for range 100 {
		many.Observe(time.Second)
	}
	few.Observe(time.Millisecond)
	count := func(route string, n uint64, h *histogram.Histogram) Count {
		return Count{Listener: "web", Route: route, Backend: "php", Classes: [5]uint64{0, n}, Duration: h.Snapshot()}
	}
	pool := func(h *histogram.Histogram) []Backend {
		return []Backend{{Name: "php", Pool: &Pool{Wait: h.Snapshot()}}}
	}
	source := &fakeSource{st: Status{Counts: []Count{count("shop", 100, &many), count("blog", 100, &many)}, Backends: pool(&many)}}
	clock := time.Now()
	r := newRecorder(clocked{source, &clock})
	record := func() {
		r.record()
		clock = clock.Add(time.Second)
	}
	record()
	source.change(func(st *Status) { // the route blog is removed, and the section of the pool changes
		st.Counts, st.Gone, st.Backends = []Count{count("shop", 101, &many)}, []Count{count("", 100, &many)}, pool(&few)
	})
	record()
	if p := r.history[len(r.history)-1]; p.Requests != 1 || p.P99 > 2 {
		t.Errorf("the page shows %+v", p)
	}
	if wait := r.status().Backends[0].Pool.WaitP99; wait <= 0 || wait > 0.001 {
		t.Errorf("the new pool's requests waited %v s", wait)
	}
	source.change(func(st *Status) { // it is back
		st.Counts = append(st.Counts, count("blog", 1, &few))
	})
	record()
	if rt := r.status().Routes[1]; rt.Name != "blog" || rt.Rate > 1 || rt.P99 > 0.001 {
		t.Errorf("%+v", rt)
	}
}

// clocked has a clock of its own.
type clocked struct {
	*fakeSource
	now *time.Time
}

func (c clocked) Status() *Status {
	st := c.fakeSource.Status()
	st.Now = *c.now
	return st
}

// TestUnixSocketHost: the client's own requests pass the check of the Host.
func TestUnixSocketHost(t *testing.T) {
	c := &Client{Socket: serve(t, new(fakeDaemon))}
	body, err := c.Get(t.Context(), "/status")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	var st Status
	if err := json.NewDecoder(body).Decode(&st); err != nil {
		t.Error(err)
	}
	conn, err := net.Dial("unix", c.Socket)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close() // shutting down would wait for its request
}
