//go:build long

package cmd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"mkd/megaki"
)

// watched is an mkd that serves a shop and an API, of which one server is down, and
// the clients that it has.
type watched struct {
	mkd, dir    string // the program, and where it runs
	web, status string // URLs
}

// startWatched runs it until the test ends.
func startWatched(t *testing.T) *watched {
	t.Helper()
	ports, err := freePorts(4)
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{dir: t.TempDir(), web: "http://127.0.0.1:" + ports[0], status: "http://127.0.0.1:" + ports[1]}
	upstream, err := net.Listen("tcp", "127.0.0.1:"+ports[2])
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })}
	go server.Serve(upstream)
	t.Cleanup(func() { server.Close() })
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("shop.php", `<?php $ARCANGELO_USERSPACE = ['on_http' => function () {
		usleep(1000 * (int) ($_GET['ms'] ?? 2));
		return 'welcome';
	}];`)
	write("config.yaml", fmt.Sprintf(`
admin: {address: "unix:admin.sock", http: "127.0.0.1:%s"}
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [server.key], max_connections: 100}}
  web: {http: {address: "127.0.0.1:%s", max_connections: 100}}
  secure: {https: {address: "127.0.0.1:0", hosts: [shop.example.org], tls: {internal: true}, max_connections: 100}}
backends:
  shop: {php: {script: shop.php, workers: {min: 4, max: 4}, timeout: 120s}}
  api: {http: {upstreams: [{url: "http://127.0.0.1:%s"}, {url: "http://127.0.0.1:%s"}]}}
routes:
  - {name: health, match: {paths: [/health]}, respond: {status: 200, body: ok}}
  - {name: api, match: {paths: [/api/*]}, backend: api}
  - {name: shop, backend: shop}
shutdown_timeout: 1s
log: {access: false}
`, ports[1], ports[0], ports[2], ports[3]))
	if err := megaki.CreateKeyFiles(filepath.Join(w.dir, "server.key")); err != nil {
		t.Fatal(err)
	}
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	w.mkd = filepath.Join(bin, "mkd")
	cmd := exec.Command(w.mkd, "run")
	var log bytes.Buffer
	cmd.Dir, cmd.Stderr = w.dir, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("mkd: %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", &log)
		}
	})
	eventually(t, "mkd responds", func() bool {
		resp, err := http.Get(w.status + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return w
}

// browse sends requests until the test ends.
func (w *watched) browse(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { stop(); wg.Wait() })
	get := func(ctx context.Context, path string) {
		r, _ := http.NewRequestWithContext(ctx, "GET", w.web+path, nil)
		if resp, err := http.DefaultClient.Do(r); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
	wg.Go(func() { get(ctx, "/cart/checkout?ms=110000&card=4111") })
	for i := range 3 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				get(ctx, [...]string{"/", "/api/items", "/health"}[(n+i)%3]+fmt.Sprintf("?ms=%d", n*7%40))
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
}

// browser starts Chromium with a page of a size. faults has what its console showed.
func browser(t *testing.T, width, height int, dark bool) (ctx context.Context, faults func() []string) {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WindowSize(width, height))
	alloc, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	var mu sync.Mutex
	var seen []string
	err := chromedp.Listen(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			seen = append(seen, e.ExceptionDetails.Text)
		case *cdplog.EventEntryAdded:
			seen = append(seen, e.Entry.Text)
		}
	})
	if err != nil {
		t.Fatalf("Chromium: %v", err)
	}
	ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	_, err = chromedp.Call(ctx, cdplog.Enable, cdp.Empty{})
	if err == nil {
		_, err = chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
	}
	if err == nil {
		err = chromedp.Do(ctx, chromedp.EmulateViewport(int64(width), int64(height)))
	}
	if err != nil {
		t.Fatalf("Chromium: %v", err)
	}
	return ctx, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

// evaluate returns the value of an expression in the page.
func evaluate[T any](t *testing.T, ctx context.Context, js string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js))
	if err != nil {
		t.Fatalf("%s: %v", js, err)
	}
	return v
}

// text returns the text of the first element that a selector matches, "" if there is
// none or it isn't visible.
func text(t *testing.T, ctx context.Context, selector string) string {
	t.Helper()
	return evaluate[string](t, ctx, fmt.Sprintf(`(() => { const e = document.querySelector(%q); return e && e.checkVisibility() ? e.innerText : ""; })()`, selector))
}

// awaitText waits for the text of an element to be as wanted.
func awaitText(t *testing.T, ctx context.Context, selector string, ok func(string) bool) (s string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if s = text(t, ctx, selector); ok(s) {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("timed out: %s has the text %q", selector, s)
		}
	}
}

func contains(want string) func(string) bool {
	return func(s string) bool { return strings.Contains(s, want) }
}

// picture keeps what the page looks like, if MKD_PICTURES names a folder.
func picture(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("MKD_PICTURES"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name), png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLongStatusPage looks at the page in Chromium, on a desk and on a phone: its
// data appears and changes, a hanging worker and a server that is down are shown, and
// nothing breaks out of the page or its policy.
func TestLongStatusPage(t *testing.T) {
	w := startWatched(t)
	w.browse(t)
	for _, c := range []struct {
		name          string
		width, height int
		dark          bool
	}{
		{"desk", 1280, 900, false}, {"phone", 390, 844, false}, {"desk-dark", 1280, 900, true}, {"phone-dark", 390, 844, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, faults := browser(t, c.width, c.height, c.dark)
			if err := chromedp.Do(ctx, chromedp.Navigate(w.status)); err != nil {
				t.Fatal(err)
			}
			awaitText(t, ctx, "#state", func(s string) bool { return s == "ready" })
			first := awaitText(t, ctx, "#now-requests", func(s string) bool { return s != "" && s != "0" })
			awaitText(t, ctx, "#now-requests", func(s string) bool { return s != first })
			uptime := text(t, ctx, "#about")
			awaitText(t, ctx, "#about", func(s string) bool { return s != uptime })
			awaitText(t, ctx, "#routes tbody", contains("shop"))
			awaitText(t, ctx, "#listeners tbody", contains("app (megaki)"))
			awaitText(t, ctx, "#certificates tbody", contains("shop.example.org"))
			awaitText(t, ctx, "#backends .workers .pill.bad", func(s string) bool { return s == "hanging" })
			if row := text(t, ctx, "#backends .workers tbody tr"); !strings.Contains(row, "GET /cart/checkout") || strings.Contains(row, "4111") {
				t.Errorf("the hanging worker's row is %q", row)
			}
			awaitText(t, ctx, "#problems", contains("shop: a worker is hanging"))
			awaitText(t, ctx, "#problems", contains("connection refused"))
			if s := text(t, ctx, "#actions"); s != "" {
				t.Errorf("actions without the unix socket: %q", s)
			}
			wide := evaluate[int](t, ctx, `document.documentElement.scrollWidth`)
			drawn := evaluate[int](t, ctx, `[...document.querySelectorAll("#charts .line")].filter(p => p.getAttribute("d").length > 20).length`)
			if wide > c.width || drawn != 8 {
				t.Errorf("the page is %d wide, and %d charts are drawn", wide, drawn)
			}
			picture(t, ctx, c.name+".png")
			if f := faults(); len(f) > 0 {
				t.Errorf("the console shows %q", f)
			}
		})
	}
}

// TestLongStatusPageActions reaches the unix socket as through ssh -L, restarts a pool's
// workers, reloads and drains, each after it was asked to confirm.
func TestLongStatusPageActions(t *testing.T) {
	w := startWatched(t)
	forwarded, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { forwarded.Close() })
	go func() {
		for {
			from, err := forwarded.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("unix", filepath.Join(w.dir, "admin.sock"))
			if err != nil {
				from.Close()
				continue
			}
			go func() { io.Copy(to, from); to.Close() }()
			go func() { io.Copy(from, to); from.Close() }()
		}
	}()
	ctx, faults := browser(t, 1280, 900, false)
	if err := chromedp.Do(ctx, chromedp.Navigate("http://localhost:"+port(forwarded))); err != nil {
		t.Fatal(err)
	}
	awaitText(t, ctx, "#actions", contains("Drain"))
	pid := awaitText(t, ctx, "#backends .workers td", func(s string) bool { return s != "" })
	press := func(selector string) {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(selector))); err != nil {
			t.Fatal(err)
		}
	}
	press(`[data-key="shop"] .restart`)
	awaitText(t, ctx, "#confirm", contains("No request is dropped"))
	picture(t, ctx, "confirm.png")
	press(`#confirm [value="no"]`)
	awaitText(t, ctx, "#confirm", func(s string) bool { return s == "" })
	if s := text(t, ctx, "#result"); s != "" {
		t.Errorf("without confirmation: %q", s)
	}
	press(`[data-key="shop"] .restart`)
	press("#yes")
	awaitText(t, ctx, "#result", contains("were replaced"))
	awaitText(t, ctx, "#backends .workers tbody", func(s string) bool { return s != "" && !strings.Contains(s, pid) })

	press(`[data-action="reload"]`)
	awaitText(t, ctx, "#confirm", contains("Reload the configuration?"))
	press("#yes")
	awaitText(t, ctx, "#result", contains("the configuration was reloaded"))
	awaitText(t, ctx, "#about", contains("configuration 2"))
	file := filepath.Join(w.dir, "config.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Replace(text, []byte("routes:"), []byte("rotues:"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	press(`[data-action="reload"]`)
	press("#yes")
	awaitText(t, ctx, "#result", contains(`rotues: unknown key; did you mean "routes"?`))
	for _, f := range faults() { // the refused reload has the status 422
		if !strings.Contains(f, "422") {
			t.Errorf("the console shows %q", f)
		}
	}

	maintenance := exec.Command(w.mkd, "maintenance", "on", "--admin", "unix:"+filepath.Join(w.dir, "admin.sock"))
	if out, err := maintenance.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	awaitText(t, ctx, "#problems", contains("Maintenance is on"))

	press(`[data-action="drain"]`)
	awaitText(t, ctx, "#confirm", contains("Drain and stop mkd?"))
	press("#yes")
	awaitText(t, ctx, "#result", contains("mkd drains"))
	awaitText(t, ctx, "#state", func(s string) bool { return s == "no connection" })
}

func port(l net.Listener) string {
	_, p, _ := net.SplitHostPort(l.Addr().String())
	return p
}
