package proxy

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mkd/config"
	"mkd/php"
)

func TestRawMessages(t *testing.T) {
	p, log := start(t, load(t, oneListener))
	c := client(t, p, "app")
	for _, message := range []string{"hello", "\x00\xff", strings.Repeat("x", 1<<20)} {
		if got, err := c.Send(t.Context(), []byte(message)); err != nil || string(got) != message {
			t.Errorf("%.20q got the answer %.20q, %v", message, got, err)
		}
	}
	if got, err := c.Send(t.Context(), []byte("token")); err != nil || string(got) != c.Session().Token.String() {
		t.Errorf("the script sees the session as %q, %v", got, err)
	}
	// A failure closes the connection, and the log has the reason.
	for message, why := range map[string]string{
		"throw":          "thrown on purpose",
		"exit":           "the script called exit",
		"sleep 10000":    "took too long",
		"repeat 1048577": "over the limit of 1048576",
	} {
		if got, err := c.Send(t.Context(), []byte(message)); err == nil {
			t.Errorf("%s got the answer %.20q", message, got)
		}
		awaitLog(t, log, why)
		if got, err := c.Send(t.Context(), []byte("hello")); err != nil || string(got) != "hello" {
			t.Errorf("after %s: %q, %v", message, got, err)
		}
	}
	if !strings.Contains(awaitLog(t, log, `"status":504`), `"client":"127.0.0.1:`) {
		t.Error("the log doesn't name the client")
	}
	if _, err := c.Send(t.Context(), []byte("print something")); err != nil {
		t.Error(err)
	}
	awaitLog(t, log, `"route":"routes[0]","text":"something"`)
}

const get = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"

// TestPayloads has each kind of message meet each kind of route.
func TestPayloads(t *testing.T) {
	onHTTP := filepath.Join(t.TempDir(), "http.php")
	if err := os.WriteFile(onHTTP, []byte(`<?php $ARCANGELO_USERSPACE = ['on_handle' => fn() => 'raw answer', 'on_http' => fn() => ''];`), 0o644); err != nil {
		t.Fatal(err)
	}
	p, _ := start(t, load(t, `
listeners:
  auto: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  http: {megaki: {address: "127.0.0.1:0", keys: [KEY], payload: http}}
  raw: {megaki: {address: "127.0.0.1:0", keys: [KEY], payload: raw}}
  onlyraw: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  onlyhttp: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  onhttp: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
backends:
  site: {php: {script: SITE, workers: {min: 1, max: 1}}}
  other: {php: {script: `+onHTTP+`, workers: {min: 1, max: 1}}}
routes:
  - {match: {listeners: [auto, http, raw, onlyraw], payload: raw}, backend: site}
  - {match: {listeners: [auto, http, onlyhttp]}, backend: site}
  - {match: {listeners: [onhttp], payload: raw}, backend: other}
  - {match: {listeners: [onhttp]}, backend: other}
`))
	for _, c := range []struct {
		listener, message string
		response          string // verbatim; "": a status, or a close
		status            int
	}{
		{"auto", "hello", "hello", 0},
		{"auto", get, get, 0},
		{"onlyraw", "GET /" + strings.Repeat("x", 10_000) + " HTTP/1.0\r\n\r\n", "", 404},
		{"auto", "GET / HTTP/1.1 and more", "", 400}, // a mistyped request is no raw message
		{"auto", "GET / HTTP/2\r\n\r\n", "GET / HTTP/2\r\n\r\n", 0},
		{"http", get, get, 0},
		{"http", "hello", "", 400},
		{"raw", get, get, 0},
		{"raw", "hello", "hello", 0},
		{"onlyraw", "hello", "hello", 0},
		{"onlyraw", get, "", 404},
		{"onlyhttp", get, get, 0},
		{"onlyhttp", "hello", "", 0},
		{"onlyhttp", "GET /", "", 0}, // a mistyped request goes nowhere
		{"onhttp", "hello", "raw answer", 0},
		{"onhttp", get, "", 200},
	} {
		name := fmt.Sprintf("%s %.15q", c.listener, c.message)
		got, err := client(t, p, c.listener).Send(t.Context(), []byte(c.message))
		switch {
		case c.response != "":
			if err != nil || string(got) != c.response {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		case c.status != 0:
			if err != nil || status(t, got) != c.status {
				t.Errorf("%s: %q, %v; want %d", name, got, err, c.status)
			}
		case err == nil:
			t.Errorf("%s: %q; want a close", name, got)
		}
	}
}

// TestErrorsHaveStatuses: a worker is busy, too slow, and worse.
func TestErrorsHaveStatuses(t *testing.T) {
	p, _ := start(t, load(t, slowConfig(t)))
	slow := make(chan []byte)
	go func() {
		c := client(t, p, "app")
		for { // until it gets the worker, which the others use as well
			got, _ := c.Send(context.Background(), []byte("GET /slow HTTP/1.0\r\n\r\n"))
			if !bytes.Contains(got, []byte(" 503 ")) {
				slow <- got
				return
			}
		}
	}()
	c := client(t, p, "app")
	for deadline := time.Now().Add(20 * time.Second); ; {
		got, err := c.Send(t.Context(), []byte("GET /quick HTTP/1.0\r\n\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != "HTTP/1.0 200 OK\r\n\r\nquick" {
			if status(t, got) != 503 || !bytes.Contains(got, []byte("Retry-After: ")) {
				t.Fatalf("all busy: %q", got)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the worker never was busy")
		}
	}
	if got := <-slow; status(t, got) != 504 {
		t.Errorf("too slow: %q", got)
	}
	for path, want := range map[string]int{"/long": 502, "/throw": 500, "/exit": 500} {
		got, err := c.Send(t.Context(), []byte("GET "+path+" HTTP/1.0\r\n\r\n"))
		for deadline := time.Now().Add(20 * time.Second); err == nil && status(t, got) == 503 && time.Now().Before(deadline); {
			got, err = c.Send(t.Context(), []byte("GET "+path+" HTTP/1.0\r\n\r\n")) // its worker is being replaced
		}
		if err != nil || status(t, got) != want {
			t.Errorf("%s: %q, %v; want %d", path, got, err, want)
		}
	}
}

func slowConfig(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "slow.php")
	code := `<?php $ARCANGELO_USERSPACE = ['on_handle' => function () {
		switch (explode(' ', arca::$request)[1]) {
			case '/slow': sleep(1000);
			case '/long': return str_repeat('x', 1001);
			case '/throw': throw new Exception('thrown');
			case '/exit': exit;
		}
		return "HTTP/1.0 200 OK\r\n\r\nquick";
	}];`
	if err := os.WriteFile(path, []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	return `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY], payload: http, max_message: 1000B}}
backends:
  site: {php: {script: ` + path + `, workers: {min: 1, max: 1}, queue: 0}}
routes:
  - backend: site
    timeout: 1s
`
}

func TestStartFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	broken := filepath.Join(t.TempDir(), "broken.php")
	if err := os.WriteFile(broken, []byte("<?php this is wrong"), 0o644); err != nil {
		t.Fatal(err)
	}
	position := regexp.MustCompile(`^\S+/config\.yaml:\d+:\d+: `)
	for _, c := range []struct{ text, want string }{
		{strings.Replace(oneListener, "127.0.0.1:0", taken.Addr().String(), 1), "listeners.app: can't listen on " + taken.Addr().String() + ": bind: address already in use"},
		{strings.Replace(oneListener, "SITE", broken, 1), "backends.site: ParseError: "},
	} {
		logs, err := NewLogs(config.Log{Level: "info", Format: "json"}, os.Stderr)
		if err != nil {
			t.Fatal(err)
		}
		p, err := New(load(t, c.text), logs)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) || !position.MatchString(err.Error()) {
			t.Errorf("Start: %v, want %s", err, c.want)
		}
	}
}

func TestBuildFails(t *testing.T) {
	dir := t.TempDir()
	write := func(name, data string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	logs, err := NewLogs(config.Log{Level: "info", Format: "json"}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{"KEY", write("garbage", "no key"), "no PEM of type"},
		{"workers:", "php: no-such-php, workers:", "PHP not found"},
		{"workers:", "user: no-such-user, workers:", "user"},
	} {
		if _, err := New(load(t, strings.Replace(oneListener, c.old, c.new, 1)), logs); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Build: %v, want %s", err, c.want)
		}
	}
}

// TestRunDrains: a message in flight when the daemon stops gets its response.
func TestRunDrains(t *testing.T) {
	cfg := load(t, strings.Replace(oneListener, "timeout: 500ms", "timeout: 20s", 1))
	logs, err := NewLogs(cfg.Log, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(cfg, logs)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	if err := p.Start(ctx); err != nil {
		t.Fatal(err)
	}
	go func() { done <- p.Wait(ctx) }()
	c := client(t, p, "app")
	if _, err := c.Send(t.Context(), []byte("hello")); err != nil {
		t.Fatal(err)
	}
	responseed := make(chan error, 1)
	go func() {
		got, err := c.Send(context.Background(), []byte("sleep 500"))
		if err == nil && string(got) != "slept" {
			err = fmt.Errorf("%q", got)
		}
		responseed <- err
	}()
	pool := p.current.Load().backends["site"].Backend.(interface{ Status() php.Status })
	for busy := false; !busy; {
		for _, w := range pool.Status().Workers {
			busy = busy || w.Busy
		}
	}
	stop()
	if err := <-responseed; err != nil {
		t.Errorf("the message under way: %v", err)
	}
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := net.Dial("tcp", p.Addr("app").String()); err == nil {
		t.Error("it still listens")
	}
}

// TestCancel: with cancel, a client that goes away ends its request; without,
// the script goes on.
func TestCancel(t *testing.T) {
	for _, cancel := range []bool{true, false} {
		text := strings.Replace(oneListener, "timeout: 500ms", fmt.Sprintf("timeout: 20s, cancel: %t", cancel), 1)
		p, log := start(t, load(t, text))
		c := client(t, p, "app")
		if _, err := c.Send(t.Context(), []byte("hello")); err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer leave()
		if got, err := c.Send(ctx, []byte("sleep 1000")); err == nil {
			t.Errorf("got %q", got)
		}
		want := `"status":200,"in":10`
		if cancel {
			want = `"status":499,"in":10`
		}
		awaitLog(t, log, want)
	}
}

func TestCheckDescriptors(t *testing.T) {
	cfg := load(t, oneListener)
	if w := checkDescriptors(cfg, 20000+12+descriptorsBesides); len(w) != 0 {
		t.Errorf("enough: %v", w)
	}
	if w := checkDescriptors(cfg, 20000+12+descriptorsBesides-1); len(w) != 1 || !strings.Contains(w[0], "20000") || !strings.Contains(w[0], "2 PHP workers") {
		t.Errorf("one too few: %v", w)
	}
	cfg = load(t, `
listeners:
  web: {http: {address: "127.0.0.1:0", max_connections: 500, max_requests: 300}}
backends:
  api: {http: {upstreams: [{url: "http://127.0.0.1:1"}]}}
routes: [{backend: api}]
`)
	if w := checkDescriptors(cfg, 800+descriptorsBesides); len(w) != 0 {
		t.Errorf("enough for requests in flight: %v", w)
	}
	if w := checkDescriptors(cfg, 800+descriptorsBesides-1); len(w) != 1 || !strings.Contains(w[0], "300 requests in flight") {
		t.Errorf("one too few for requests in flight: %v", w)
	}
}
