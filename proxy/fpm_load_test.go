//go:build linux

package proxy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// loaded responds with the request's number, the hash of its body, and so many
// bytes made of the number that a response comes in several pieces.
const loaded = `<?php
$n = $_GET['n'];
usleep((int)($_GET['us'] ?? 0));
echo $n, ' ', hash('sha256', file_get_contents('php://input')), ' ';
for ($i = $_GET['lines']; $i > 0; $i--) {
	echo str_repeat("$n,", 100), "\n";
}
echo 'end';`

// load has clients request loaded through both listeners.
type fpmLoad struct {
	t     *testing.T
	p     *Daemon
	query string
	next  atomic.Int64
	mu    sync.Mutex
	seen  map[string]int // responses by status, and "cut"
	stop  context.CancelFunc
	all   sync.WaitGroup
}

// begin starts so many clients at each listener.
func (l *fpmLoad) begin(clients int) {
	ctx, cancel := context.WithCancel(l.t.Context())
	l.stop, l.seen = cancel, make(map[string]int)
	web := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}, Timeout: 30 * time.Second}
	l.t.Cleanup(web.CloseIdleConnections)
	for range clients {
		l.all.Go(func() {
			for ctx.Err() == nil {
				n := l.next.Add(1)
				r, err := http.NewRequest(loadMethod(n), "http://"+l.p.Addr("web").String()+l.target(n), strings.NewReader(loadBody(n)))
				if err != nil {
					l.t.Error(err)
					return
				}
				resp, err := web.Do(r)
				l.note(n, resp, err)
			}
		})
		l.all.Go(func() {
			c := client(l.t, l.p, "app")
			for ctx.Err() == nil {
				n := l.next.Add(1)
				b := loadBody(n)
				response, err := c.Send(context.Background(), fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", loadMethod(n), l.target(n), len(b), b))
				if err != nil {
					l.t.Errorf("a message wasn't answered: %v", err)
					continue
				}
				resp, _ := parseResponse(l.t, response, loadMethod(n))
				resp.Body = io.NopCloser(bytes.NewReader(response[bytes.Index(response, []byte("\r\n\r\n"))+4:]))
				l.note(n, resp, nil)
			}
		})
	}
}

func (l *fpmLoad) end() {
	l.stop()
	l.all.Wait()
}

func loadMethod(n int64) string {
	return [...]string{"POST", "PUT"}[n%2] // both have a body; the second may be repeated
}

func loadBody(n int64) string { return strings.Repeat(strconv.FormatInt(n, 10), int(n%7)*3000) }

func (l *fpmLoad) target(n int64) string {
	return fmt.Sprintf("/?n=%d&lines=%d%s", n, n%5*20, l.query)
}

// note checks that a response is its request's own and whole, or an error.
func (l *fpmLoad) note(n int64, resp *http.Response, err error) {
	kind := "cut"
	if err == nil {
		var got []byte
		got, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil {
			kind = strconv.Itoa(resp.StatusCode)
		}
		if resp.StatusCode == 200 && err == nil {
			sum := sha256.Sum256([]byte(loadBody(n)))
			want := fmt.Sprintf("%d %s %send", n, hex.EncodeToString(sum[:]), strings.Repeat(strings.Repeat(fmt.Sprintf("%d,", n), 100)+"\n", int(n%5*20)))
			if string(got) != want {
				l.t.Errorf("request %d got %d bytes for its answer, which has %d: %.100q", n, len(got), len(want), got)
			}
		}
	}
	if kind != "200" {
		time.Sleep(5 * time.Millisecond) // PHP-FPM starts anew meanwhile
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen[kind]++
}

// count returns how many responses of a kind there were.
func (l *fpmLoad) count(kind string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[kind]
}

// more waits for so many good responses more.
func (l *fpmLoad) more(n int) {
	l.t.Helper()
	from := l.count("200")
	for deadline := time.Now().Add(60 * time.Second); l.count("200") < from+n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatalf("%d good answers in a minute", l.count("200")-from)
		}
	}
}

// check looks at what kinds of responses there were.
func (l *fpmLoad) check(allowed ...string) {
	l.t.Helper()
	l.t.Logf("answers: %v", l.seen)
	for _, kind := range slices.Sorted(maps.Keys(l.seen)) {
		if !slices.Contains(allowed, kind) {
			l.t.Errorf("%d answers are %s", l.seen[kind], kind)
		}
	}
}

// behind starts both listeners in front of a PHP-FPM that runs loaded.
func behind(t *testing.T, f *fpm, options string) (p *Daemon, log string) {
	t.Helper()
	return start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  site: {fastcgi: {addresses: ["unix:`+f.dir+`/s"], root: `+f.public+`, `+options+`}}
routes: [{backend: site}]
log: {access: false, level: warn}
`))
}

// TestFPMUnderLoad restarts and reloads PHP-FPM under load, whose workers end
// after five requests, and has more requests than workers. Nothing but a stop
// may be seen in the responses, and no response is another's or cut without a sign.
func TestFPMUnderLoad(t *testing.T) {
	for _, keep := range []string{"keep_alive: 0", "keep_alive: 2"} {
		for _, c := range []struct {
			name     string
			settings []string
			query    string
			happens  func(l *fpmLoad, f *fpm)
			allowed  []string
		}{
			{"max_requests", []string{"pm.max_requests = 5"}, "", func(l *fpmLoad, f *fpm) { l.more(100) }, []string{"200"}},
			{"all busy", nil, "&us=5000", func(l *fpmLoad, f *fpm) { l.more(50) }, []string{"200"}},
			{"restarted", nil, "&us=2000", func(l *fpmLoad, f *fpm) {
				for range 2 {
					l.more(30)
					f.Stop()
					f.Start(l.t)
				}
				l.more(30)
			}, []string{"200", "502", "503", "cut"}},
			{"reloaded at once", nil, "&us=2000", func(l *fpmLoad, f *fpm) {
				l.more(30)
				f.reload(l.t)
				l.more(30)
			}, []string{"200", "502", "503", "cut"}},
			{"reloaded", []string{"[global]", "process_control_timeout = 10s"}, "&us=2000", func(l *fpmLoad, f *fpm) {
				for range 3 {
					l.more(30)
					f.reload(l.t)
				}
				l.more(30)
			}, []string{"200", "502", "503", "cut"}},
		} {
			t.Run(c.name+" "+keep, func(t *testing.T) {
				f := startFPM(t, 3, map[string]string{"index.php": loaded}, c.settings...)
				p, _ := behind(t, f, keep)
				l := &fpmLoad{t: t, p: p, query: c.query}
				l.begin(4)
				defer l.end()
				c.happens(l, f)
				l.end()
				l.check(c.allowed...)
			})
		}
	}
}

// reload has PHP-FPM read its configuration anew, and waits until it has.
func (f *fpm) reload(t testing.TB) {
	t.Helper()
	ready := strings.Count(f.Log(), "ready to handle connections")
	f.Signal(syscall.SIGUSR2)
	for deadline := time.Now().Add(30 * time.Second); strings.Count(f.Log(), "ready to handle connections") <= ready; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("PHP-FPM doesn't reload:\n%s", f.Log())
		}
	}
}

// hold keeps the only worker of f busy until the end of the test, or until release
// is called, which returns its response.
func (f *fpm) hold(t *testing.T) (release func() string) {
	t.Helper()
	patient, _ := behind(t, f, "response_timeout: 1m")
	held := make(chan string, 1)
	go func() {
		held <- string(sendWeb(t, patient, "GET /hold.php HTTP/1.1\r\nHost: x\r\n\r\n"))
	}()
	await(t, "the worker is held", func() bool { return exists(filepath.Join(f.dir, "held")) })
	return func() string {
		touch(t, filepath.Join(f.dir, "go"))
		return <-held
	}
}

var holding = map[string]string{"index.php": "<?php echo 'served';", "hold.php": `<?php
	touch(dirname(__DIR__) . '/held');
	while (!file_exists(dirname(__DIR__) . '/go')) { usleep(5000); clearstatcache(); }
	echo 'held';`}

// TestFPMFull: while all workers are busy, a request waits for response_timeout
// and gets 504. If PHP-FPM's queue is full too, it gets 503 at once. Neither
// makes the server count as one that is down.
func TestFPMFull(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings []string
		asked    int
		ok       func(seen map[string]int) bool
	}{
		{"all busy", nil, 5, func(seen map[string]int) bool { return seen["504"] == 5 }},
		{"the queue is full", []string{"listen.backlog = 1"}, 12, func(seen map[string]int) bool { return seen["503"] >= 6 && seen["503"]+seen["504"] == 12 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := startFPM(t, 1, holding, c.settings...)
			p, log := behind(t, f, "response_timeout: 300ms")
			ask := func() string {
				_, body := parseResponse(t, sendWeb(t, p, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "GET")
				return body
			}
			release := f.hold(t)
			seen := map[string]int{}
			for range c.asked {
				seen[ask()[:3]]++
			}
			if !c.ok(seen) {
				t.Errorf("meanwhile: %v", seen)
			}
			if got := release(); !strings.HasSuffix(got, "held") {
				t.Errorf("%q", got)
			}
			await(t, "the server serves again", func() bool { return ask() == "served" })
			if text, err := os.ReadFile(log); err != nil || strings.Contains(string(text), "is down") {
				t.Errorf("%v, %s", err, text)
			}
		})
	}
}
