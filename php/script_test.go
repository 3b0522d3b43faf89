package php

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestResponses(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	for _, size := range []int{0, 1, 100, 4000, 8100, 8192, 8200, 65535, 65536, 65537, 1 << 20, 10 << 20} {
		body := make([]byte, size)
		rand.Read(body)
		if got := mustDo(t, p, "echo "+string(body)); got != string(body) {
			t.Fatalf("%d bytes came back as %d others", size, len(got))
		}
	}
	for message, want := range map[string]string{"nothing": "", "number": "42", "repeat 0": ""} {
		if got := mustDo(t, p, message); got != want {
			t.Errorf("%s: %q, want %q", message, got, want)
		}
	}
}

// TestInterface checks what scripts of the reference rely on.
func TestInterface(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	guids := map[string]bool{}
	for range 3 {
		f := strings.Fields(mustDo(t, p, "who"))
		if len(f[0]) != 16 || guids[f[0]] {
			t.Errorf("guid %s: 8 bytes, another for each request", f[0])
		}
		guids[f[0]] = true
		if f[1] != "0027ff00000000000000000000000080" || f[2] != "192.0.2.7" || f[3] != "4711" {
			t.Errorf("identity: %v", f[1:])
		}
	}
	dir, _ := filepath.Abs("testdata")
	want := strings.Join([]string{dir, filepath.Join(dir, "kit.php"), "a part", "stream", "stream", "stream", "1", "268435456"}, "\n")
	if got := mustDo(t, p, "where"); got != want {
		t.Errorf("where:\n%s\nwant\n%s", got, want)
	}
	var calls map[string]int
	if err := json.Unmarshal([]byte(mustDo(t, p, "calls")), &calls); err != nil {
		t.Fatal(err)
	}
	if calls["init"] != 1 || calls["start"] != 5 || calls["stop"] != 4 || calls["token"] != 16 {
		t.Errorf("calls: %v", calls)
	}
}

func TestOnHandleAlone(t *testing.T) {
	p, _ := start(t, Options{Script: script(t, `$ARCANGELO_USERSPACE = ['on_handle' => fn() => strrev(arca::$request)];`)})
	if got := mustDo(t, p, "abc"); got != "cba" {
		t.Errorf("%q", got)
	}
}

// TestByteOrderMark: PHP would print it, and nobody would see why.
func TestByteOrderMark(t *testing.T) {
	path := filepath.Join(t.TempDir(), "script.php")
	if err := os.WriteFile(path, []byte("\ufeff<?php $ARCANGELO_USERSPACE = ['on_handle' => fn () => 'done'];"), 0o644); err != nil {
		t.Fatal(err)
	}
	p, log := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: path})
	if got := mustDo(t, p, "x"); got != "done" {
		t.Errorf("the response is %q", got)
	}
	log.await(t, "script.php begins with a byte order mark")
}

// TestRequestIDInTheLog: what a script logs, and the end of its worker, name the
// request by the id that it has in other logs.
func TestRequestIDInTheLog(t *testing.T) {
	p, log := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Timeout: 200 * time.Millisecond, Script: script(t, `
		$ARCANGELO_USERSPACE = ['on_handle' => function () { error_log('it logs'); sleep(30); }];`)})
	var out strings.Builder
	if err := p.Do(t.Context(), &Call{Body: []byte("x"), Route: "r", RequestID: "abc"}, &out); !errors.Is(err, ErrTimeout) {
		t.Errorf("Do: %v", err)
	}
	for _, want := range []string{"request_id=abc route=r text=\"it logs\"", "request_id=abc route=r reason="} {
		log.await(t, want)
	}
}

// TestOPcacheHasTheLoop: OPcache takes no files that were changed in the last seconds, as
// it seems of one that is written when the pool starts.
func TestOPcacheHasTheLoop(t *testing.T) {
	p, _ := start(t, Options{Script: script(t, `$ARCANGELO_USERSPACE = ['on_handle' => fn () => implode("\n", array_keys(opcache_get_status()['scripts']))];`)})
	if got := mustDo(t, p, ""); !strings.Contains(got, "arcangelo.php") {
		t.Errorf("OPcache has only: %s", got)
	}
}

func script(t *testing.T, code string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script.php")
	if err := os.WriteFile(path, []byte("<?php\n"+code), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPrintedGoesToTheLog: what a script prints never reaches the client.
func TestPrintedGoesToTheLog(t *testing.T) {
	p, log := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	if got := mustDo(t, p, "print"); got != "done" {
		t.Errorf("the response is %q", got)
	}
	for _, text := range []string{"printed", "to stdout", "to stderr", "logged", "Notice: noticed in ", "Warning: Undefined variable $undefined in "} {
		log.await(t, text)
	}
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "text=") && !strings.Contains(line, " request_id=") {
			t.Errorf("the line doesn't name the request: %s", line)
		}
	}
	if got := mustDo(t, p, "buffer"); got != "done" {
		t.Errorf("the response is %q", got)
	}
	log.await(t, "left open")
	if !strings.Contains(log.String(), "level=WARN msg=php worker=") {
		t.Errorf("warnings aren't logged as such:\n%s", log)
	}
}

func TestFloodOfOutputIsBounded(t *testing.T) {
	p, log := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	if got := mustDo(t, p, "flood 100000"); got != "done" {
		t.Errorf("the response is %q", got)
	}
	p.Close()
	if n := strings.Count(log.String(), "text=\"line "); n < 100 || n > 4000 {
		t.Errorf("%d lines were logged", n)
	}
	if !strings.Contains(log.String(), "lines dropped") {
		t.Error("the log has no count of dropped lines")
	}
}

func TestErrorsOfScripts(t *testing.T) {
	for _, c := range []struct {
		message, want string
		fatal         bool
	}{
		{"throw", "RuntimeException: thrown on purpose in ", false},
		{"destruct", "RuntimeException: thrown by a destructor in ", false},
		{"array", "on_handle returned array, want a string", false},
		{"fatal", "Call to undefined function undefined_function()", false},
		{"exit", "the script called exit during a request", true},
		{"redeclare", "declare class arca", true},
		{"eat", "Allowed memory size of ", true},
	} {
		t.Run(c.message, func(t *testing.T) {
			p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, MemoryCeiling: 32 << 20})
			pid := mustDo(t, p, "pid")
			_, err := do(p, c.message)
			var script *ScriptError
			if !errors.As(err, &script) || !strings.Contains(script.Message, c.want) || script.Fatal != c.fatal {
				t.Fatalf("error %v", err)
			}
			if same := mustDo(t, p, "pid") == pid; same == c.fatal {
				t.Errorf("the same worker goes on: %t", same)
			}
		})
	}
}

func TestBootErrors(t *testing.T) {
	for _, c := range []struct{ name, code, want string }{
		{"parse error", `function (`, `ParseError: `},
		{"throws", `throw new Exception('no database');`, `no database in `},
		{"die", `echo "first\n"; die('no licence');`, "exit during its loading; it printed:\nfirst\nno licence"},
		{"warning", `trigger_error('half the reason'); exit;`, "half the reason"},
		{"exit", `exit(0);`, `the script called exit during its loading`},
		{"fatal", `class A extends B implements arca {} `, `not found`},
		{"no userspace", `$x = 1;`, `(on_init, on_start, on_handle, on_http, on_stop); it is not set`},
		{"not an array", `$ARCANGELO_USERSPACE = 5;`, `; it is int`},
		{"no handler", `$ARCANGELO_USERSPACE = ['on_init' => fn() => 1];`, `has neither on_http nor on_handle`},
		{"misspelt", `$ARCANGELO_USERSPACE = ['onhttp' => fn() => 1];`, `$ARCANGELO_USERSPACE['onhttp'] is never called`},
		{"not callable", `$ARCANGELO_USERSPACE = ['on_handle' => 'nothing_of_the_kind'];`, `['on_handle'] can't be called: it is 'nothing_of_the_kind'`},
		{"on_init throws", `$ARCANGELO_USERSPACE = ['on_handle' => fn() => '', 'on_init' => fn() => throw new Exception('not today')];`, `not today`},
		{"on_init exits", `$ARCANGELO_USERSPACE = ['on_handle' => fn() => '', 'on_init' => function() { exit; }];`, `the script called exit during on_init`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, _ := newPool(t, Options{Script: script(t, c.code), MinWorkers: 2})
			err := p.Start(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Start: %v, want %s", err, c.want)
			}
			if _, err := do(p, "x"); err != ErrClosed {
				t.Errorf("Do: %v", err)
			}
		})
	}
	p, _ := newPool(t, Options{Script: "testdata/nowhere.php"})
	if err := p.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "nowhere.php") {
		t.Errorf("Start: %v", err)
	}
	if _, err := NewPool(Options{Script: "testdata/kit.php", PHP: "no-such-php"}); err == nil || !strings.Contains(err.Error(), "PHP not found") {
		t.Errorf("NewPool: %v", err)
	}
}

// TestForkedChildrenKeepOut: a child that a script forks, and that ends or returns
// into the loop, writes no frames.
func TestForkedChildrenKeepOut(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	pid := mustDo(t, p, "pid")
	for range 5 {
		for _, message := range []string{"forkexit", "forkreturn"} {
			if got := mustDo(t, p, message); got != "the parent" {
				t.Errorf("%s: %q", message, got)
			}
		}
	}
	if mustDo(t, p, "pid") != pid {
		t.Error("the worker was replaced")
	}
}

func TestLastWordsAreLogged(t *testing.T) {
	p, log := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	if _, err := do(p, "die"); err == nil {
		t.Error("no error")
	}
	log.await(t, "the reason")
}

func TestHugeExceptionKeepsTheWorker(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	pid := mustDo(t, p, "pid")
	_, err := do(p, "longthrow")
	var script *ScriptError
	if !errors.As(err, &script) || len(script.Message) > maxErrorText+10 {
		t.Errorf("error %.100v", err)
	}
	if mustDo(t, p, "pid") != pid {
		t.Error("the worker was replaced")
	}
}
