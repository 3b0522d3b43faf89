package php

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWarningsPastAnErrorHandler: a warning that a script's own handler leaves to PHP
// is logged.
func TestWarningsPastAnErrorHandler(t *testing.T) {
	p, log := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: script(t, `
		set_error_handler(fn() => false);
		$ARCANGELO_USERSPACE = ['on_handle' => function () { trigger_error('left to PHP'); @trigger_error('silenced'); return 'done'; }];`)})
	if got := mustDo(t, p, "x"); got != "done" {
		t.Errorf("the response is %q", got)
	}
	log.await(t, "PHP Notice:  left to PHP in ")
	if strings.Contains(log.String(), "silenced") {
		t.Error("a silenced warning is logged")
	}
}

// signalled returns a script whose handler of SIGUSR1 interrupts what PHP waits for,
// and counts the signals in a file.
func signalled(t *testing.T) (path, count string) {
	count = filepath.Join(t.TempDir(), "count")
	return script(t, `
		pcntl_async_signals(true);
		pcntl_signal(SIGUSR1, function () {
			arca::log('a signal');
			$nothing .= 'a warning';
			file_put_contents('`+count+`', '.', FILE_APPEND);
		}, false);
		$ARCANGELO_USERSPACE = ['on_handle' => fn () => str_repeat(arca::$request, 1 << 20)];`), count
}

// interrupt sends signals, each after the one before was handled. Half as many
// reach PHP's loop: it tries an interrupted read again once.
func interrupt(t *testing.T, pid int, count string) {
	t.Helper()
	for i := range 20 {
		syscall.Kill(pid, syscall.SIGUSR1)
		eventually(t, "the signal is handled", func() bool {
			info, err := os.Stat(count)
			if err == nil && info.Size() > int64(i) {
				return true
			}
			syscall.Kill(pid, syscall.SIGUSR1)
			return false
		})
	}
}

// TestSignalsWhileIdle: a worker that handles signals goes on while it waits for a
// call.
func TestSignalsWhileIdle(t *testing.T) {
	path, count := signalled(t)
	p, log := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: path})
	pid := p.Status().Workers[0].PID
	interrupt(t, pid, count)
	log.await(t, "a signal")
	log.await(t, "Undefined variable $nothing")
	mustDo(t, p, "x")
	if got := p.Status().Workers[0].PID; got != pid {
		t.Errorf("worker %d was replaced by %d", pid, got)
	}
}

// TestSignalsDuringAResponse interrupts a worker that writes a long response.
func TestSignalsDuringAResponse(t *testing.T) {
	path, count := signalled(t)
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: path})
	pid := p.Status().Workers[0].PID
	w := &slowWriter{first: make(chan struct{}), open: make(chan struct{})}
	done := make(chan error)
	go func() { done <- p.Do(t.Context(), &Call{Body: []byte("0123456789")}, w) }()
	<-w.first
	interrupt(t, pid, count)
	close(w.open)
	if err := <-done; err != nil || w.b.String() != strings.Repeat("0123456789", 1<<20) {
		t.Errorf("%d bytes, %v", w.b.Len(), err)
	}
}

// TestSignalCutsAResponse: a handler that throws while a response is written ends the
// worker; its error isn't taken for the rest of the response.
func TestSignalCutsAResponse(t *testing.T) {
	thrown := filepath.Join(t.TempDir(), "thrown")
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: script(t, `
		pcntl_async_signals(true);
		pcntl_signal(SIGUSR1, function () {
			touch('`+thrown+`');
			throw new Exception(str_repeat('not a part of the response ', 100));
		}, false);
		$ARCANGELO_USERSPACE = ['on_handle' => function () { yield str_repeat(arca::$request, 100_000); }];`)})
	pid := p.Status().Workers[0].PID
	w := &slowWriter{first: make(chan struct{}), open: make(chan struct{})}
	done := make(chan error)
	go func() { done <- p.Do(t.Context(), &Call{Body: []byte("0123456789")}, w) }()
	<-w.first
	eventually(t, "the handler threw", func() bool {
		syscall.Kill(pid, syscall.SIGUSR1)
		_, err := os.Stat(thrown)
		return err == nil
	})
	close(w.open)
	if err := <-done; !errors.As(err, new(*WorkerError)) || strings.Contains(w.b.String(), "not a part") {
		t.Errorf("error %v, %d bytes", err, w.b.Len())
	}
}

// slowWriter blocks until it is opened.
type slowWriter struct {
	first, open chan struct{}
	b           bytes.Buffer
}

func (w *slowWriter) Write(p []byte) (int, error) {
	if w.b.Len() == 0 {
		close(w.first)
		<-w.open
	}
	return w.b.Write(p)
}

// TestNoArgumentsInTraces: errors don't have passwords that functions get.
func TestNoArgumentsInTraces(t *testing.T) {
	path := script(t, `
		function connect($password) { throw new Exception('no database'); }
		$ARCANGELO_USERSPACE = ['on_handle' => fn() => connect(arca::$request)];`)
	rc := t.TempDir() // of a php.ini that doesn't see to it itself
	write(t, filepath.Join(rc, "php.ini"))
	for setting, shown := range map[string]bool{"": false, "0": true} {
		ini := map[string]string{"zend.exception_string_param_max_len": "15"}
		if setting != "" {
			ini["zend.exception_ignore_args"] = setting
		}
		p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: path, Ini: ini, Env: map[string]string{"PHPRC": rc}})
		_, err := do(p, "hunter2")
		if err == nil || strings.Contains(err.Error(), "hunter2") != shown || !strings.Contains(err.Error(), "#0 ") {
			t.Errorf("zend.exception_ignore_args=%s: %v", setting, err)
		}
	}
}

// TestMessageLargerThanMemory: the worker reports the fault before it has the whole
// message.
func TestMessageLargerThanMemory(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, MemoryCeiling: 16 << 20, Timeout: 10 * time.Second})
	message := strings.Repeat("x", 20<<20)
	check := func(err error) {
		t.Helper()
		if script, ok := err.(*ScriptError); !ok || !strings.Contains(script.Message, "Allowed memory size of 16777216 bytes exhausted") {
			t.Errorf("error %v", err)
		}
	}
	_, err := do(p, message)
	check(err)
	check(p.Do(t.Context(), &Call{More: strings.NewReader(message)}, new(bytes.Buffer)))
	pid := mustDo(t, p, "pid")
	if _, err := strconv.Atoi(pid); err != nil {
		t.Error(err)
	}
}

// TestEnvIsReset: a change of $_ENV doesn't reach the next request.
func TestEnvIsReset(t *testing.T) {
	opt := httpOptions(t)
	opt.Env["KEPT"], opt.Ini = "1", map[string]string{"variables_order": "EGPCS"}
	p, _ := start(t, opt)
	before := get(t, p, "/env").body.String()
	if !strings.Contains(before, `"KEPT":"1"`) {
		t.Errorf("$_ENV is %s", before)
	}
	if after := get(t, p, "/env").body.String(); after != before {
		t.Errorf("$_ENV is %s, was %s", after, before)
	}
}

// TestNoTypeOfNoContent: a response without content has no Content-Type.
func TestNoTypeOfNoContent(t *testing.T) {
	p, _ := httpPool(t)
	if w := get(t, p, "/nocontent"); w.status != 204 || w.header["Content-Type"] != nil {
		t.Errorf("%d %v", w.status, w.header)
	}
}
