package php

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// afterScript has handlers that work on after their response, until a file exists.
const afterScript = `
	function work() {
		for ($i = 0; $i < 20000 && !file_exists($_GET['until'] ?? arca::$request); $i++) { usleep(1000); clearstatcache(); }
	}
	$ARCANGELO_USERSPACE = [
		'on_handle' => function () { arca\finish('finished ' . getmypid()); work(); return 'dropped'; },
		'on_http' => function ($r) {
			switch ($r->path) {
				case '/pid': return (string) getmypid();
				case '/finish': arca\finish(arca\Response::json('finished', 201)); work(); echo 'printed late'; arca::log('worked'); return;
				case '/printed': echo 'printed'; arca\finish(); work(); return;
				case '/stop': return 'stops';
				case '/upload': arca\finish('got it'); work(); file_put_contents($_GET['until'] . '.copy', $r->files['f']->contents()); return;
				case '/session': session_start(); $_SESSION['a'] = 1; arca\finish('x'); arca::log('session: ' . (int) isset($_SESSION)); return;
				case '/returns': arca\finish('one'); return 'two';
				case '/throws': arca\finish('whole'); throw new Exception('thrown late');
				case '/exits': arca\finish('whole'); exit;
				case '/fatal': arca\finish('whole'); eval('class Twice {} class Twice {}');
				case '/hangs': arca\finish('whole'); sleep(1000);
				case '/again': arca\finish('one'); arca\finish('two');
				case '/invalid': try { arca\finish(new stdClass); } catch (Exception $e) { return get_class($e); }
				case '/stream': arca\finish((function () { yield 'a'; yield 'b'; })()); work(); return;
			}
		},
		'on_stop' => function () { if (isset($_GET['stop'])) { work(); } },
	];`

// afterPool starts a pool of one worker that runs afterScript.
func afterPool(t *testing.T, opt Options) (*Pool, *logBuffer) {
	t.Helper()
	opt.Script, opt.MinWorkers, opt.MaxWorkers = script(t, afterScript), 1, 1
	return start(t, opt)
}

// TestWorkAfterTheResponse: a client has its response before the work after it, which
// follows arca\finish, or is that of on_stop. The worker is busy until the end.
func TestWorkAfterTheResponse(t *testing.T) {
	p, log := afterPool(t, Options{UploadDir: t.TempDir()})
	pid := get(t, p, "/pid").body.String()
	for _, c := range []struct{ target, want string }{
		{"/finish", `201 "finished"`},
		{"/printed", "200 printed"},
		{"/stop", "200 stops"},
		{"/upload", "200 got it"},
		{"/stream", "200 ab"},
		{"raw", "finished " + pid},
	} {
		until := filepath.Join(t.TempDir(), "until")
		target := c.target + "?until=" + url.QueryEscape(until)
		var got string
		switch c.target {
		case "raw":
			got = mustDo(t, p, until)
		default:
			call := httpCall("GET", target, nil, "")
			if c.target == "/stop" {
				call = httpCall("GET", target+"&stop", nil, "")
			} else if c.target == "/upload" {
				call = multipartCall(target, filePart("f", "a", "content")+"--b--")
			}
			w := request(t, p, call)
			got = asJSON(w.status) + " " + w.body.String()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.target, got, c.want)
		}
		if s := p.Status().Workers; len(s) != 1 || !s[0].Busy || !s[0].WorksOn {
			t.Errorf("%s: the worker isn't busy: %+v", c.target, s)
		}
		if err := os.WriteFile(until, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		awaitWhole(t, p, 1)
		if p.Status().Workers[0].WorksOn {
			t.Errorf("%s: it still works", c.target)
		}
		if got := get(t, p, "/pid").body.String(); got != pid {
			t.Fatalf("%s: the worker was replaced", c.target)
		}
		if c.target == "/upload" {
			if copied, err := os.ReadFile(until + ".copy"); string(copied) != "content" {
				t.Errorf("the uploaded file after the response: %q, %v", copied, err)
			}
		}
	}
	if left := filesBelow(t, p.opt.UploadDir); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
	log.await(t, "text=worked")
	log.await(t, "printed late")
}

// TestFaultsAfterTheResponse: what goes wrong after a response is logged, and the
// response isn't touched.
func TestFaultsAfterTheResponse(t *testing.T) {
	p, log := afterPool(t, Options{})
	for _, c := range []struct {
		target, want, log string
		replaced          bool
	}{
		{"/throws", "whole", "after the response: Exception: thrown late in ", false},
		{"/again", "one", `finish: there is no request, or it has its response`, false},
		{"/returns", "one", `finish is dropped`, false},
		{"/session", "x", "session: 0", false},
		{"/invalid", "UnexpectedValueException", "", false},
		{"/exits", "whole", "the script called exit after its response", true},
		{"/fatal", "whole", "after the response: Fatal error: Cannot ", true},
	} {
		pid := get(t, p, "/pid").body.String()
		if got := get(t, p, c.target).body.String(); got != c.want {
			t.Errorf("%s: %q, want %q", c.target, got, c.want)
		}
		log.await(t, c.log)
		if same := get(t, p, "/pid").body.String() == pid; same == c.replaced {
			t.Errorf("%s: the same worker goes on: %t", c.target, same)
		}
	}
	awaitWhole(t, p, 1)
	hanging, log := afterPool(t, Options{Timeout: 2 * time.Second})
	if got := get(t, hanging, "/hangs").body.String(); got != "whole" {
		t.Errorf("/hangs: %q", got)
	}
	log.await(t, "the PHP script took too long")
	awaitWhole(t, hanging, 1)
}

// TestFramesAfterTheResponse: a worker that sends something else than the end of its
// work is ended.
func TestFramesAfterTheResponse(t *testing.T) {
	memory := strings.Repeat("%00", 8)
	responded := "%01%12%00%09%00%00%00%04<request>" + memory + "%02" + "body"
	for name, frames := range map[string]string{
		"a part":           "%01%13%00%00%00%00%00%01<request>x",
		"another response": responded,
		"a body":           "%01%12%00%08%00%00%00%01<request>" + memory + "x",
		"another id":       "%01%12%00%08%00%00%00%0000000000" + memory,
	} {
		p, log := start(t, fake("frames "+responded+frames, Options{MinWorkers: 1, MaxWorkers: 1}))
		if got := mustDo(t, p, "x"); got != "body" {
			t.Errorf("%s: %q", name, got)
		}
		log.await(t, "the worker broke the framing")
	}
}

// TestUploadsOfABrokenResponse: a worker that breaks off a response after which it would work
// on leaves no files behind.
func TestUploadsOfABrokenResponse(t *testing.T) {
	dir := t.TempDir()
	head := "%01%16%00%0a%00%00%00%00<request>%00%c8%00%00%00%00%00%00%00%64" // of 100 bytes
	responded := "%01%12%00%09%00%00%00%04<request>%00%00%00%00%00%00%00%00%02body"
	p, _ := start(t, fake("frames "+head+responded, Options{MinWorkers: 1, MaxWorkers: 1, UploadDir: dir}))
	if _, err := doHTTP(p, multipartCall("/", filePart("f", "a", "content")+"--b--")); !errors.Is(err, errFrame) {
		t.Errorf("error %v", err)
	}
	if left := filesBelow(t, dir); len(left) > 0 || p.uploads.bytes.InUse() != 0 {
		t.Errorf("files are left: %v; %d bytes", left, p.uploads.bytes.InUse())
	}
}

// TestShutdownAwaitsWork: Shutdown waits for work after a response, and cuts it off
// when its context ends.
func TestShutdownAwaitsWork(t *testing.T) {
	for _, cut := range []bool{false, true} {
		p, _ := afterPool(t, Options{})
		until := filepath.Join(t.TempDir(), "until")
		get(t, p, "/finish?until="+url.QueryEscape(until))
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Shutdown(ctx) }()
		eventually(t, "the pool is closed", func() bool {
			_, err := do(p, "x")
			return errors.Is(err, ErrClosed)
		})
		select {
		case err := <-done:
			t.Fatalf("Shutdown returned early: %v", err)
		default:
		}
		var want error
		if cut {
			want = errors.New("time is over")
			cancel(want)
		} else if err := os.WriteFile(until, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != want {
			t.Errorf("Shutdown: %v, want %v", err, want)
		}
		cancel(nil)
	}
}

// TestHintAfterAnError: an early hint of an on_stop comes too late, even if there was no
// response. The worker goes on.
func TestHintAfterAnError(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: script(t, `
		$ARCANGELO_USERSPACE = [
			'on_http' => fn ($r) => $r->path === '/pid' ? (string) getmypid() : throw new Exception('no response'),
			'on_stop' => fn () => arca\Response::earlyHints(['Link' => '</a.css>; rel=preload']),
		];`)})
	pid := get(t, p, "/pid").body.String()
	w, err := doHTTP(p, httpCall("GET", "/", nil, ""))
	if !errors.As(err, new(*ScriptError)) || len(w.hints) > 0 {
		t.Errorf("error %v, %d hints", err, len(w.hints))
	}
	if get(t, p, "/pid").body.String() != pid {
		t.Error("the worker was replaced")
	}
}

// TestFinishEndsBuffers: arca\finish responds with what is in output buffers that are
// open, too.
func TestFinishEndsBuffers(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: script(t, `
		$ARCANGELO_USERSPACE = ['on_http' => function () { echo 'one'; ob_start(); echo 'two'; arca\finish(); echo 'late'; }];`)})
	if got := get(t, p, "/").body.String(); got != "onetwo" {
		t.Errorf("%q", got)
	}
}
