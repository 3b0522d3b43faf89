package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"mkd/admin"
)

// scrape returns the metrics of a daemon as they are served, by name and labels.
func scrape(t *testing.T, p *Daemon) map[string]float64 {
	t.Helper()
	l, err := admin.ListenTCP("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &admin.Server{Source: p}
	go s.Serve(l, admin.Monitoring)
	defer s.Shutdown(context.Background())
	resp, err := http.Get("http://" + l.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for name, f := range families {
		if !strings.HasPrefix(name, "mkd_") {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			key := name + "{" + strings.Join(labels, ",") + "}"
			values[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

const countedConfig = `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  site: {php: {script: SITE, workers: {min: 1, max: 1}}}
routes:
  - {name: raw, match: {payload: raw}, backend: site}
  - {name: hello, match: {paths: [/hello, /h/*]}, respond: {status: 200, body: hello}}
  - {name: limited, match: {paths: [/limited]}, rate_limit: {rate: 0.001, burst: 2}, respond: {status: 204}}
`

// TestCountersEqualTheLoad sends a known load, and finds it in the metrics.
func TestCountersEqualTheLoad(t *testing.T) {
	p, _ := start(t, load(t, countedConfig))
	url := "http://" + p.Addr("web").String()
	get := func(path string, want int) {
		t.Helper()
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Fatalf("%s: %s, want %d", path, resp.Status, want)
		}
	}
	for range 7 {
		get("/hello", 200)
	}
	for i := range 5 {
		get("/limited", map[bool]int{true: 204, false: 429}[i < 2])
	}
	for range 3 {
		get("/nowhere", 404)
	}
	c := client(t, p, "app")
	for range 11 {
		if _, err := c.Send(t.Context(), []byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]float64{
		"mkd_requests_total{backend=respond,code=2xx,listener=web,route=hello}":   7,
		"mkd_requests_total{backend=respond,code=2xx,listener=web,route=limited}": 2,
		"mkd_requests_total{backend=respond,code=4xx,listener=web,route=limited}": 3,
		"mkd_requests_total{backend=none,code=4xx,listener=web,route=none}":       3,
		"mkd_requests_total{backend=site,code=2xx,listener=app,route=raw}":        11,
		"mkd_requests_total{backend=site,code=5xx,listener=app,route=raw}":        0,
		"mkd_request_duration_seconds{backend=respond,route=hello}":               7,
		"mkd_request_duration_seconds{backend=site,route=raw}":                    11,
		"mkd_response_bytes_total{backend=respond,listener=web,route=hello}":      35,
		"mkd_request_bytes_total{backend=site,listener=app,route=raw}":            55,
		"mkd_request_failures_total{reason=rate_limit}":                           3,
		"mkd_request_failures_total{reason=no_route}":                             3,
		"mkd_messages_total{listener=app}":                                        11,
		"mkd_handshakes_total{listener=app,result=done}":                          1,
		"mkd_resumptions_total{listener=app,result=done}":                         0,
		"mkd_sessions{state=live}":                                                1,
		"mkd_sessions{state=resumable}":                                           1,
		"mkd_connections{kind=megaki,listener=app}":                               1,
		"mkd_queue_wait_seconds{backend=site}":                                    11,
		"mkd_workers{backend=site,state=idle}":                                    1,
		"mkd_worker_starts_total{backend=site}":                                   1,
		"mkd_backend_up{backend=site,kind=php}":                                   1,
		"mkd_ready{}":                                                             1,
	}
	var got map[string]float64
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		// A request is counted after its response, so that the last ones may be late.
		got = scrape(t, p)
		same := true
		for key, value := range want {
			same = same && got[key] == value
		}
		if same {
			break
		}
		if time.Now().After(deadline) {
			for key, value := range want {
				if got[key] != value {
					t.Errorf("%s is %v, want %v", key, got[key], value)
				}
			}
			break
		}
	}
}

// TestClientsAddNoSeries: whatever clients send, there are the same metrics with the
// same labels as before.
func TestClientsAddNoSeries(t *testing.T) {
	p, _ := start(t, load(t, countedConfig))
	before := scrape(t, p)
	url := "http://" + p.Addr("web").String()
	for i := range 20 {
		r, err := http.NewRequest(fmt.Sprintf("METHOD%d", i), fmt.Sprintf("%s/h/%d?%d", url, i, i), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = fmt.Sprintf("host%d.example", i)
		for _, field := range []string{"User-Agent", "X-Forwarded-For", "X-Request-Id", "Route", "Referer"} {
			r.Header.Set(field, fmt.Sprintf("value%d", i))
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	c := client(t, p, "app")
	for i := range 20 {
		c.Send(t.Context(), fmt.Appendf(nil, "GET /%d HTTP/1.1\r\nHost: h%d\r\n\r\n", i, i))
		c.Send(t.Context(), fmt.Appendf(nil, "raw %d", i))
	}
	for key := range scrape(t, p) {
		if _, known := before[key]; !known {
			t.Errorf("%s is new", key)
		}
	}
}

// TestStatusOfADaemon: the snapshot has no query and no whole token, survives its JSON,
// and a reload takes nothing from the counts of what stays.
func TestStatusOfADaemon(t *testing.T) {
	cfg := load(t, countedConfig)
	p, _ := start(t, cfg)
	c := client(t, p, "app")
	if _, err := c.Send(t.Context(), []byte("hello")); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + p.Addr("web").String() + "/hello?secret=42")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	some, all := p.Sessions(10)
	if all != 1 || len(some) != 1 || !strings.HasPrefix(c.Session().Token.String(), some[0].Token) || len(some[0].Token) != tokenDigits || some[0].Messages != 1 {
		t.Errorf("%d sessions: %+v", all, some)
	}
	data, err := json.Marshal(p.Status())
	if err != nil {
		t.Fatal(err)
	}
	var st admin.Status
	if err := json.Unmarshal(data, &st); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), c.Session().Token.String()) || strings.Contains(string(data), "secret") {
		t.Errorf("the status has what it mustn't: %s", data)
	}
	if st.State != "ready" || len(st.Listeners) != 2 || st.Sessions.Live != 1 || len(st.Backends) != 1 || len(st.Backends[0].Pool.Workers) != 1 || st.Listeners[0].Megaki.Keys[0].Handshakes != 1 {
		t.Errorf("%s", data)
	}
	other := *cfg
	other.Routes = cfg.Routes[:1]
	if err := p.Reload(t.Context(), &other); err != nil {
		t.Fatal(err)
	}
	after := p.Status()
	if app := after.Listeners[0]; app.Requests != 1 || app.Megaki.Handshakes["done"] != 1 || app.Megaki.Keys[0].Handshakes != 1 || app.Megaki.Live != 1 {
		t.Errorf("after a reload: %+v, %+v", app, app.Megaki)
	}
	for _, count := range after.Counts {
		if count.Route == "hello" {
			t.Error("a route that was removed is still counted")
		}
	}
}

// TestCountersAfterReload: what was counted of a route or a listener that a reload removes
// stays in the sums. Prometheus takes a counter that has become less for one that has begun
// anew, and adds all of it to its rate.
func TestCountersAfterReload(t *testing.T) {
	const text = `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
  old: {http: {address: "127.0.0.1:0"}}
routes:
  - {name: shop, match: {paths: [/shop]}, respond: {body: shop}}
  - {name: blog, match: {paths: [/blog]}, respond: {body: blog}}
`
	s := startReloadable(t, text)
	for listener, n := range map[string]int{"web": 1, "old": 4} {
		for range n {
			for _, path := range []string{"/shop", "/blog", "/none"} {
				s.get(listener, path)
			}
		}
	}
	shop := "mkd_request_duration_seconds{backend=respond,route=shop}"
	none := "mkd_request_duration_seconds{backend=none,route=none}"
	await(t, "all have ended", func() bool { return s.daemon.Status().Requests == 15 })
	for _, name := range []string{"old", "blog", "nothing"} { // that the configuration hasn't any more
		var next []string
		for line := range strings.Lines(text) {
			if !strings.Contains(line, name) {
				next = append(next, line)
			}
		}
		s.mustReload(strings.Join(next, ""))
		after := scrape(t, s.daemon)
		st := s.daemon.Status()
		if st.Requests != 15 {
			t.Errorf("without %s: %d requests since the start, want 15", name, st.Requests)
		}
		if l := st.Listeners[0]; l.Name != "web" || l.Requests != 3 {
			t.Errorf("without %s: %+v", name, l)
		}
		if after[shop] != 5 || after[none] != 5 {
			t.Errorf("without %s: %v", name, after)
		}
	}
}

// TestNotReadyIsOneLine: the reason why no worker is ready is a line, however long the
// stack trace of its script's error.
func TestNotReadyIsOneLine(t *testing.T) {
	script := filepath.Join(t.TempDir(), "app.php")
	write := func(code string) {
		t.Helper()
		if err := os.WriteFile(script, []byte("<?php "+code), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("$ARCANGELO_USERSPACE = ['on_handle' => fn () => posix_kill(getmypid(), SIGKILL)];")
	p, _ := start(t, load(t, `
listeners: {web: {http: {address: "127.0.0.1:0"}}}
backends: {site: {php: {script: `+script+`, workers: {min: 1, max: 1}}}}
routes: [{backend: site}]
`))
	write("throw new Exception('no database');")
	resp, err := http.Get("http://" + p.Addr("web").String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	await(t, "a worker that couldn't start", func() bool {
		st := p.Status()
		return len(st.NotReady) > 0 && strings.Contains(st.NotReady[0], "no database")
	})
	st := p.Status()
	if want := "backend site: no worker is ready: Exception: no database in " + script + ":1"; len(st.NotReady) != 1 || st.NotReady[0] != want {
		t.Errorf("%q, want %q", st.NotReady, want)
	}
	if why := st.Backends[0].Why; !strings.Contains(why, "Stack trace") {
		t.Errorf("the backend's reason is %q", why)
	}
}
