package cgi

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeScript writes a shell script.
func writeScript(t testing.TB, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "command")
	next := path + ".new"
	if err := os.WriteFile(next, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil { // one that runs can't be written
		t.Fatal(err)
	}
	return path
}

func TestOptionsErrors(t *testing.T) {
	for want, opt := range map[string]Options{
		"php-cgi not found":                        {Command: "no-such-php"},
		"1 to 1024 workers":                        {Workers: 2000},
		"1 to 1024 workers, not":                   {Workers: -1},
		"as max_requests":                          {MaxRequests: 1 << 40},
		`"a b" = "c" isn't a valid PHP setting`:    {Ini: map[string]string{"a b": "c"}},
		`"a" = "b\nc=d" isn't a valid PHP setting`: {Ini: map[string]string{"a": "b\nc=d"}},
		`"" = "b" isn't a valid environment`:       {Env: map[string]string{"": "b"}},
		`"a=b" = "c" isn't a valid environment`:    {Env: map[string]string{"a=b": "c"}},
		"the path of a socket can't be longer":     {SocketDir: "/tmp/" + strings.Repeat("x", 100)},
	} {
		if _, err := New(opt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v; want %q", opt, err, want)
		}
	}
	if os.Geteuid() == 0 {
		for _, opt := range []Options{{User: "no-such-user"}, {Group: "no-such-group"}} {
			if _, err := New(opt); err == nil || !strings.Contains(err.Error(), "no-such-") {
				t.Errorf("%+v: %v", opt, err)
			}
		}
	}
}

// TestStartErrors: Start returns PHP's own message.
func TestStartErrors(t *testing.T) {
	dir := openDir(t, 0o755)
	for name, c := range map[string]struct {
		opt  Options
		want []string
	}{
		"bad ini":      {Options{Ini: map[string]string{"opcache.preload": "/no/such/file.php", "opcache.preload_user": "www-data"}}, []string{"exit status 255", "Failed opening required '/no/such/file.php'"}},
		"dies":         {Options{Command: writeScript(t, dir, "echo it has no libraries >&2; exit 127")}, []string{"exit status 127", "it has no libraries"}},
		"not php-cgi":  {Options{Command: "true"}, []string{"exit status 0", "is it php-cgi?"}},
		"no folder":    {Options{SocketDir: filepath.Join(dir, "none")}, []string{"no such file or directory"}},
		"no directory": {Options{Dir: filepath.Join(dir, "none")}, []string{"no such file or directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, c.opt)
			err := s.Start(t.Context())
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v; want %q", err, want)
				}
			}
			s.leftNothing(t)
			if err := s.Start(t.Context()); !errors.Is(err, ErrClosed) {
				t.Errorf("Start after a failed one: %v", err)
			}
		})
	}
}

// TestStartNeverReady: the context bounds the start of a program that neither ends
// nor responds.
func TestStartNeverReady(t *testing.T) {
	s := newSite(t, Options{Command: writeScript(t, openDir(t, 0o755), "echo thinking; exec sleep 1000")})
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("the operator is impatient")
	go func() {
		for !strings.Contains(s.logs.String(), "thinking") {
			time.Sleep(time.Millisecond)
		}
		cancel(reason)
	}()
	if err := s.Start(ctx); !errors.Is(err, reason) || !strings.Contains(err.Error(), "thinking") {
		t.Errorf("Start: %v", err)
	}
	s.leftNothing(t)
}

func TestStartTwice(t *testing.T) {
	s := startSite(t, Options{Workers: 1})
	if err := s.Start(t.Context()); !errors.Is(err, ErrStarted) {
		t.Errorf("second Start: %v", err)
	}
	s.get(t, "")
}

// TestSweep: the folders that a killed daemon left are removed. Those that are in use,
// or may be, and those of another user stay.
func TestSweep(t *testing.T) {
	dir := openDir(t, 0o755)
	make := func(closed, old bool) string {
		path, err := newSocketPath(dir)
		if err != nil {
			t.Fatal(err)
		}
		f, err := listen(path)
		if err != nil {
			t.Fatal(err)
		}
		if closed {
			f.Close()
		} else {
			t.Cleanup(func() { f.Close() })
		}
		if old {
			makeOld(t, filepath.Dir(path))
		}
		return path
	}
	dead, live, young := make(true, true), make(false, true), make(true, false)
	want := map[string]bool{dead: false, live: true, young: true}
	if os.Geteuid() == 0 {
		others := make(true, true)
		if err := os.Chown(filepath.Dir(others), 1, 1); err != nil {
			t.Fatal(err)
		}
		want[others] = true
	}
	for path := range want {
		if err := os.Mkdir(codeFolder(path), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	sweep(dir)
	for path, want := range want {
		for _, folder := range []string{filepath.Dir(path), codeFolder(path)} {
			if _, err := os.Stat(folder); (err == nil) != want {
				t.Errorf("%s: there is %v, want %v", folder, err == nil, want)
			}
		}
	}
}

// makeOld sets the time of a folder to long ago.
func makeOld(t testing.TB, folder string) {
	t.Helper()
	old := time.Now().Add(-2 * staleAge)
	if err := os.Chtimes(folder, old, old); err != nil {
		t.Fatal(err)
	}
}
