package proxy

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// named are functions of the project, as docs/architecture.md writes them.
var named = regexp.MustCompile("`((?:[a-z0-9]+)\\.(?:\\(\\*\\w+\\)\\.)?\\w+)`")

// hops returns the functions that docs/architecture.md names for one of its ways of
// a request, in its order.
func hops(t *testing.T, way string) (names []string) {
	t.Helper()
	page, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(page), "\n**"+way+"**\n\n1. ")
	if !ok {
		t.Fatalf("docs/architecture.md doesn't show %q", way)
	}
	for _, after := range []string{"\n**", "\n## "} {
		text, _, _ = strings.Cut(text, after)
	}
	for _, m := range named.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}

// frame is a function in a stack trace, which may be a closure of the named one.
var frame = regexp.MustCompile(`(?m)^(?:created by )?(?:\S+/)?([a-z0-9]+\.(?:\(\*\w+\)\.)?\w+)`)

// stackIn waits until a goroutine is in a function, and returns the functions on its
// stack, the outermost first. That begins with the one that started the goroutine.
func stackIn(t *testing.T, function string) (names []string) {
	t.Helper()
	await(t, "a goroutine is in "+function, func() bool {
		all := make([]byte, 1<<20)
		all = all[:runtime.Stack(all, true)]
		for g := range bytes.SplitSeq(all, []byte("\n\n")) {
			names = names[:0]
			for _, m := range frame.FindAllSubmatch(g, -1) {
				names = append(names, string(m[1]))
			}
			slices.Reverse(names)
			if slices.Contains(names, function) {
				return true
			}
		}
		return false
	})
	return names
}

// TestHops compares the ways of a request in docs/architecture.md with the stacks of
// the goroutines that carry it: as the connection is accepted, while its backend waits,
// and while the rest of a response does. What has returned by then, or comes later,
// isn't on a stack; that these functions exist is up to cmd/mkd.
func TestHops(t *testing.T) {
	f := startFPM(t, 1, nil)
	step := func(name string) (path string, proceed func(*testing.T)) {
		path = filepath.Join(f.dir, name)
		return path, func(t *testing.T) { touch(t, path) }
	}
	php, phpProceeds := step("php")
	fpmHead, fpmBegins := step("fpm-head")
	fpmRest, fpmProceeds := step("fpm-rest")
	httpHead, httpBegins := step("http-head")
	httpRest, httpProceeds := step("http-rest")
	wait := func(path string) string {
		return `while (!file_exists('` + path + `')) { usleep(1000); clearstatcache(); }`
	}
	f.Write(t, "public/index.php", "<?php while (ob_get_level()) { ob_end_clean(); } "+wait(fpmHead)+" echo 'some'; flush(); "+wait(fpmRest))
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, path := range []string{httpHead, httpRest} {
			for !exists(path) && r.Context().Err() == nil {
				time.Sleep(time.Millisecond)
			}
			io.WriteString(w, "some")
			w.(http.Flusher).Flush()
		}
	}))
	t.Cleanup(u.Close)
	cfg := load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  tls: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}}}
backends:
  php: {php: {script: `+onHTTP(t, `$ARCANGELO_USERSPACE = ['on_handle' => function () { `+wait(php)+` return 'x'; }];`)+`, workers: {min: 1, max: 1}}}
  fpm: {fastcgi: {addresses: ["unix:`+f.dir+`/s"], root: `+f.public+`, try: [/index.php]}}
  api: {http: {upstreams: [{url: `+u.URL+`}]}}
routes:
  - {match: {payload: raw}, backend: php}
  - {match: {listeners: [app]}, backend: fpm}
  - backend: api
`)
	p, _ := start(t, cfg)
	background := func(t *testing.T, f func() error) {
		ended := make(chan error, 1)
		go func() { ended <- f() }()
		t.Cleanup(func() {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	// connect opens a connection, which sends nothing.
	connect := func(listener string) func(*testing.T) {
		return func(t *testing.T) {
			conn, err := net.Dial("tcp", p.Addr(listener).String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
		}
	}
	message := func(text string) func(*testing.T) {
		return func(t *testing.T) {
			c := client(t, p, "app")
			background(t, func() error {
				_, err := c.Send(context.Background(), []byte(text))
				return err
			})
		}
	}
	https := func(t *testing.T) {
		c := trusting(t, filepath.Join(cfg.Storage.Path, "internal", "tls.crt"))
		c.Transport.(*http.Transport).ForceAttemptHTTP2 = false
		background(t, func() error {
			resp, err := c.Get("https://localhost:" + portOf(p.Addr("tls").String()))
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)
			return err
		})
	}

	// state is what is done, and the function in which a goroutine is then.
	type state struct {
		do func(*testing.T)
		in string
	}
	for _, c := range []struct {
		way     string
		states  []state
		end     func(*testing.T)
		returns []string // before these states, or is called after them
	}{
		{
			way: "A raw message to a PHP worker",
			states: []state{
				{connect("app"), "megaki.(*Server).ServeConn"},
				{message("hello"), "php.(*Pool).Do"},
			},
			end:     phpProceeds,
			returns: []string{"route.(*Handler).find", "listener.(*message).Verbatim", "listener.(*message).Finish"},
		},
		{
			way: "An HTTP request in a message to PHP-FPM",
			states: []state{
				{connect("app"), "megaki.(*Server).ServeConn"},
				{message(get), "fastcgi.(*Transport).Do"},
				{fpmBegins, "forward.(*Forwarder).deliver"},
			},
			end: fpmProceeds,
			returns: []string{"httpmsg.(*Parser).ParseMessage", "route.(*Handler).admit", "forward.(*Clients).Identify",
				"site.(*Scripts).Find", "forward.(*Spool).Receive", "listener.(*message).Finish"},
		},
		{
			way: "An HTTPS request to an HTTP server",
			states: []state{
				{connect("tls"), "listener.(*httpsListener).serve"},
				{https, "upstream.(*Transport).DoFor"},
				{httpBegins, "forward.(*Forwarder).deliver"},
			},
			end: httpProceeds,
			returns: []string{"listener.(*quicSocket).serve", "listener.(*http3Server).serve", // of HTTP/3
				"forward.SetForwarded", "http1.(*Response).Finish"},
		},
	} {
		t.Run(c.way, func(t *testing.T) {
			want := slices.DeleteFunc(hops(t, c.way), func(name string) bool { return slices.Contains(c.returns, name) })
			var got []string
			accepting := state{func(*testing.T) {}, "listener.(*Listener).Serve"}
			for _, s := range append([]state{accepting}, c.states...) {
				s.do(t)
				for _, name := range stackIn(t, s.in) {
					if !slices.Contains(got, name) && (slices.Contains(want, name) || slices.Contains(c.returns, name)) {
						got = append(got, name)
					}
				}
			}
			c.end(t)
			if !slices.Equal(got, want) {
				t.Errorf("the stacks have\n%q\nthe page has\n%q", got, want)
			}
		})
	}
}
