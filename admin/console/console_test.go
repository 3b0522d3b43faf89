package console

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mkd/admin"
)

func busy() *admin.Status {
	now := time.Now().UTC()
	return &admin.Status{
		Version: "1.2", PID: 7, State: "ready", Now: now, Started: now.Add(-90 * time.Second), Generation: 2, Requests: 1000,
		Listeners: []admin.Listener{{Name: "app", Kind: "megaki", Address: "127.0.0.1:1", Connections: 3, Refused: 2, Megaki: &admin.Megaki{
			Live: 2, Handshakes: map[string]uint64{"done": 5, "busy": 1, "gone": 70}, Resumptions: map[string]uint64{"done": 4},
			Keys: []admin.ServerKey{{ID: "abcd", Live: 2, LastSeen: now.Add(-5 * time.Second)}, {ID: "ef01", Retired: true}},
		}}},
		Routes: []admin.Route{{Name: "shop", Backend: "php", Rate: 12.5, P50: 0.004, P99: 1.5, Errors: 0.01, Requests: 1000, In: 1 << 20, Out: 3 << 30}},
		Backends: []admin.Backend{
			{Name: "php", Kind: "php", Up: true, Pool: &admin.Pool{MaxWorkers: 4, Waiting: 1, Ended: map[string]int64{"crash": 1, "idle": 0, "boot": 1, "script": 5}, Workers: []admin.Worker{
				{PID: 100, State: admin.WorkerIdle, Memory: 3 << 20, Requests: 9, For: 1, Age: 50},
				{PID: 101, State: admin.WorkerHanging, Memory: 1 << 20, Requests: 5, For: 12, Age: 40, Method: "GET", Path: "/cart\x1b[2J\u202e"},
				{PID: 102, State: admin.WorkerBusy, Memory: 2 << 20, Requests: 7, For: 0.2, Age: 60, Method: "POST", Path: "/pay"},
			}}},
			{Name: "api", Kind: "http", Up: true, Upstreams: []admin.Upstream{{Name: "http://a", Up: true, Since: now}, {Name: "http://b", Why: "connection refused", Since: now.Add(-time.Minute)}, {Name: "http://c", Up: true, Backup: true, Since: now}}},
		},
		Sessions:     admin.Sessions{Live: 2, Resumable: 8, Capacity: 100},
		Certificates: []admin.Certificate{{Listener: "web", Source: "acme", Name: "example.org", NotAfter: now.Add(30 * 24 * time.Hour), Error: "no such host", NextTry: now.Add(4 * time.Minute)}},
	}
}

// TestStatus: the tables have everything, and nothing in them acts on the terminal.
func TestStatus(t *testing.T) {
	var b bytes.Buffer
	Status(&b, busy())
	for _, want := range []string{
		"mkd 1.2 is ready: up 90 s, configuration 2, process 7",
		"2 sessions live, 8 can be resumed",
		"! php: worker 101 hangs for 12 s: GET /cart·[2J·",
		"! api: http://b is down: connection refused",
		"! certificate example.org: no such host",
		"backend php (php), up; 3 of 4 workers, 1 request waits; ended: script 5, boot 1, crash 1\n",
		"ef01 (retired)", "never", "1.5 s", "1.0 %", "http://c  backup", "3.0 GiB", "in 30 days", "in 4 min",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("without %q:\n%s", want, &b)
		}
	}
	if strings.ContainsAny(b.String(), "\x1b\u202e") {
		t.Errorf("%q", &b)
	}
	// Two connections and a handshake were refused; clients that left by themselves weren't.
	if app := regexp.MustCompile(`(?m)^app +megaki .* (\d+)$`).FindStringSubmatch(b.String()); app == nil || app[1] != "3" {
		t.Errorf("refused: %q, want 3", app)
	}
}

// TestCertificatesThatEnd: a certificate needs attention two weeks before its end, and after
// it, as on the status page.
func TestCertificatesThatEnd(t *testing.T) {
	const day = 24 * time.Hour
	st := &admin.Status{Now: time.Now().UTC()}
	for name, left := range map[string]time.Duration{"old": -day, "soon": 13 * day, "good": 15 * day} {
		st.Certificates = append(st.Certificates, admin.Certificate{Name: name, NotAfter: st.Now.Add(left)})
	}
	st.Certificates = append(st.Certificates, admin.Certificate{Name: "new"}) // that the CA hasn't issued yet
	all := problems(st)
	slices.Sort(all)
	if want := []string{"certificate old has expired", "certificate soon expires in 13 days"}; !slices.Equal(all, want) {
		t.Errorf("%q, want %q", all, want)
	}
}

func TestSessions(t *testing.T) {
	var b bytes.Buffer
	st := busy()
	Sessions(&b, &admin.SessionList{Live: 5, Sessions: []admin.Session{{Listener: "app", Token: "0011aabb", Client: "192.0.2.1:5", Since: st.Now.Add(-3 * time.Minute), Resumed: true, Messages: 4, Busy: true}}}, st)
	for _, want := range []string{"5 sessions have a connection; the newest 1 are shown; the store keeps 8 of at most 100", "0011aabb…", "3 min ago", "resumption", "busy"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("without %q:\n%s", want, &b)
		}
	}
}

// TestTopSorts presses each key, and looks which worker comes first and last.
func TestTopSorts(t *testing.T) {
	top := &Top{last: busy()}
	for _, c := range []struct{ keys, first, last string }{
		{"", "101", "100"}, {"m", "100", "101"}, {"r", "100", "101"}, {"a", "102", "101"}, {"f", "101", "102"}, {"s", "101", "100"}, {"R", "100", "101"}, {"x", "100", "101"},
	} {
		for i := range len(c.keys) {
			if !top.press(c.keys[i]) {
				t.Errorf("%q ends it", c.keys)
			}
		}
		text := top.text()
		if i, j := strings.Index(text, "  "+c.first), strings.Index(text, "  "+c.last); i < 0 || j < i {
			t.Errorf("after %q:\n%s", c.keys, text)
		}
	}
	for _, key := range []byte{'q', 3, 27} {
		if top.press(key) {
			t.Errorf("%d doesn't end it", key)
		}
	}
}

// TestScreen: lines are cut to the terminal's width and number.
func TestScreen(t *testing.T) {
	got := string(screen("abcdef\n▁▂▃▄▅▆\nthird\nfourth\n", 4, 3))
	if want := "\x1b[Habcd\x1b[K\r\n▁▂▃▄\x1b[K\r\n… 2 \x1b[K"; !strings.HasPrefix(got, "\x1b[Habcd\x1b[K\r\n▁▂▃▄\x1b[K\r\n") || strings.Count(got, "\r\n") != 2 {
		t.Errorf("%q, want %q", got, want)
	}
	for _, size := range [][2]int{{0, 0}, {-1, 24}, {80, 0}} {
		if got := string(screen("a line\n", size[0], size[1])); got != "\x1b[Ha line\x1b[K\x1b[J" {
			t.Errorf("on a terminal of %v: %q", size, got)
		}
	}
	if got := sparkline([]float64{0, 5, 10}); got != "▁▅█" {
		t.Errorf("%s", got)
	}
}
