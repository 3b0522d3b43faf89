//go:build linux && long

package proxy

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestLongBrowser uses WordPress by a real browser, which knows nothing of Megaki:
// through sazukari forward. It logs in, writes a post, uploads a picture, and sees
// both.
func TestLongBrowser(t *testing.T) {
	local := freeAddress(t)
	// A site that writes its address into pages has to know the one that the browser
	// uses, which is without HTTPS.
	p, _ := startWordPress(t, `$_SERVER['HTTPS'] = 'off'; define('WP_HOME', 'http://`+local+`');`)
	startForward(t, p, local)
	browser := startBrowser(t)
	site := "http://" + local

	browse(t, browser, "the login",
		chromedp.Navigate(site+"/wp-login.php"),
		chromedp.WaitVisible("#user_login"),
		chromedp.SetValue("#user_login", "admin"),
		chromedp.SetValue("#user_pass", "open sesame"),
		chromedp.Click("#wp-submit"),
	)
	holds(t, browser, `document.querySelector('#wp-admin-bar-my-account')?.textContent.includes('Howdy')`)

	// The editor of blocks loads some hundred scripts, and saves by the REST API.
	browse(t, browser, "the editor",
		chromedp.Navigate(site+"/wp-admin/post-new.php"),
	)
	shows(t, browser, ".editor-post-title__input")
	// By the editor's own store: its buttons do nothing while it saves a draft by itself,
	// and move.
	holds(t, browser, `(() => {
		const post = wp.data.select('core/editor'), editor = wp.data.dispatch('core/editor')
		if (post.getCurrentPostAttribute('status') === 'publish') return true
		if (!post.isSavingPost()) {
			editor.editPost({title: 'Written in a browser', status: 'publish'})
			editor.savePost()
		}
		return false
	})()`)

	picture := filepath.Join(t.TempDir(), "picture.png")
	if err := os.WriteFile(picture, somePicture(t), 0o644); err != nil {
		t.Fatal(err)
	}
	browse(t, browser, "the upload",
		chromedp.Navigate(site+"/wp-admin/media-new.php?browser-uploader"),
		chromedp.WaitVisible("#async-upload"),
		chromedp.SetUploadFiles("#async-upload", []string{picture}),
		chromedp.Click("#html-upload"),
	)
	shows(t, browser, `img[src*="/uploads/"]`)

	// What the browser shows now.
	browse(t, browser, "the front page", chromedp.Navigate(site+"/"))
	holds(t, browser, `document.querySelector('.wp-block-post-title')?.textContent === 'Written in a browser'`)
	browse(t, browser, "the list of uploads", chromedp.Navigate(site+"/wp-admin/upload.php?mode=list"))
	holds(t, browser, `document.querySelector('img[src*="/uploads/"]').naturalWidth >= 50`) // it is loaded and decoded
}

// startBrowser starts Chromium without a window.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	exe, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is missing: install it with 'apt-get install chromium'")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(exe), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WindowSize(1400, 1000), chromedp.WSURLReadTimeout(time.Minute))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	browser, quit := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		chromedp.Cancel(browser) // waits until the browser has ended
		quit()
		stop()
	})
	if err := chromedp.Do(browser); err != nil {
		t.Fatal(err)
	}
	return browser
}

// browse runs the steps of a browser, which have some minutes.
func browse(t *testing.T, browser context.Context, what string, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(browser, 3*time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatalf("%s: %v; the browser is at %s:\n%.3000s", what, err, valueOf(t, browser, chromedp.Location()), valueOf(t, browser, chromedp.OuterHTML("body")))
	}
}

// shows waits until a page has an element, be it the next page.
func shows(t *testing.T, browser context.Context, selector string) {
	t.Helper()
	holds(t, browser, "document.querySelector('"+selector+"') !== null")
}

// holds waits until an expression is true. It is for all that is looked at on a page: what
// asks for a node first, and then for what it has, fails if the page changes in between.
func holds(t *testing.T, browser context.Context, expression string) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(browser, 20*time.Second)
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		cancel()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it never was so: %s (%v); the browser is at %s:\n%.3000s", expression, err,
				valueOf(t, browser, chromedp.Location()), valueOf(t, browser, chromedp.OuterHTML("body")))
		}
	}
}

// valueOf returns what a browser has.
func valueOf[T any](t *testing.T, browser context.Context, value chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(browser, time.Minute)
	defer cancel()
	v, err := chromedp.Run(ctx, value)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// startForward starts sazukari forward.
func startForward(t *testing.T, p *Daemon, local string) {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "sazukari")
	if out, err := exec.Command("go", "build", "-o", exe, "../cmd/sazukari").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	key, err := serverKey()
	if err != nil {
		t.Fatal(err)
	}
	startServer(t, exec.Command(exe, "forward", "--server", p.Addr("app").String(), "--key", key+".pub",
		"--listen", local, "--host", local, "--max-message", "16777216", "-v"))
	await(t, "sazukari forward listens", func() bool {
		conn, err := net.Dial("tcp", local)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}
