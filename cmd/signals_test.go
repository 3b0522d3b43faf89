package cmd

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// logReader collects what a command logs. Its methods are safe for concurrent
// use.
type logReader struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logReader) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logReader) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// waitFor waits until a command ends, and kills it after a limit.
func waitFor(t *testing.T, cmd *exec.Cmd, limit time.Duration) error {
	t.Helper()
	timer := time.AfterFunc(limit, func() {
		t.Errorf("mkd hasn't ended after %v", limit)
		cmd.Process.Kill()
	})
	defer timer.Stop()
	return cmd.Wait()
}

// TestLogReaderStops runs mkd with a pipe for standard error that nobody reads:
// it serves 2,000 requests, each of which makes a line, and SIGTERM ends it in
// time.
func TestLogReaderStops(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	d, cmd := newDaemon(t, daemonOptions{log: "access: true, format: json"})
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	d.await(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			c := d.client()
			defer c.Close()
			for i := range 500 {
				want := fmt.Sprint("message ", i)
				if got, err := c.Send(ctx, []byte(want)); err != nil || string(got) != want {
					t.Errorf("%q got %q, %v", want, got, err)
					return
				}
			}
		})
	}
	clients.Wait()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := waitFor(t, cmd, 10*time.Second); err != nil {
		t.Errorf("mkd: %v", err)
	}
}

// TestLogReaderLeaves closes the other end of the pipe: mkd serves on, and ends
// with SIGTERM.
func TestLogReaderLeaves(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d, cmd := newDaemon(t, daemonOptions{log: "access: true"})
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	r.Close()
	d.await(t)
	c := d.client()
	defer c.Close()
	for range 3 {
		if _, err := c.Send(t.Context(), []byte("x")); err != nil {
			t.Error(err)
		}
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil { // makes a line that is written at once
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := waitFor(t, cmd, 10*time.Second); err != nil {
		t.Errorf("mkd: %v", err)
	}
}

// TestSignals sends each signal while a request is in flight. Those that stop
// mkd let it end; the others are logged, and mkd serves on.
func TestSignals(t *testing.T) {
	stops := []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT}
	goesOn := map[syscall.Signal]string{syscall.SIGHUP: "reloaded", syscall.SIGUSR1: "there is no log file to reopen"}
	for _, stop := range stops {
		t.Run(stop.String(), func(t *testing.T) {
			d, cmd := newDaemon(t, daemonOptions{script: slowScript})
			log := new(logReader)
			cmd.Stderr = log
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			d.await(t)
			response := d.sendSlow(t)
			for s, logged := range goesOn {
				if err := cmd.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
				eventually(t, s.String()+" is logged", func() bool { return strings.Contains(log.String(), logged) })
			}
			if err := cmd.Process.Signal(stop); err != nil {
				t.Fatal(err)
			}
			eventually(t, "mkd drains", func() bool { return strings.Contains(log.String(), "stopping") })
			if err := os.WriteFile(d.dir+"/go", nil, 0o644); err != nil {
				t.Fatal(err)
			}
			if got := <-response; got != "slow" {
				t.Errorf("the request in flight got %q", got)
			}
			if err := waitFor(t, cmd, 20*time.Second); err != nil {
				t.Errorf("mkd: %v\n%s", err, log)
			}
		})
	}
}

// TestSecondSignal: mkd doesn't wait for requests in flight after a second
// signal, of whatever kind.
func TestSecondSignal(t *testing.T) {
	for _, second := range []syscall.Signal{syscall.SIGTERM, syscall.SIGQUIT} {
		t.Run(second.String(), func(t *testing.T) {
			d, cmd := newDaemon(t, daemonOptions{script: slowScript})
			log := new(logReader)
			cmd.Stderr = log
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			d.await(t)
			response := d.sendSlow(t)
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			eventually(t, "mkd drains", func() bool { return strings.Contains(log.String(), "stopping") })
			if err := cmd.Process.Signal(second); err != nil {
				t.Fatal(err)
			}
			if err := waitFor(t, cmd, 20*time.Second); err == nil {
				t.Error("mkd reports success")
			}
			if got := <-response; got == "slow" {
				t.Errorf("the request in flight got %q", got)
			}
		})
	}
}

// slowScript responds to the message "slow" once there is a file "go".
const slowScript = `<?php $ARCANGELO_USERSPACE = ['on_handle' => function () {
	if (arca::$request === 'slow') {
		touch(__DIR__ . '/started');
		while (!file_exists(__DIR__ . '/go')) { usleep(10000); clearstatcache(); }
	}
	return arca::$request;
}];`

// sendSlow sends the message "slow", and returns once a worker has it. The
// response comes on the channel, or the error's text.
func (d *daemon) sendSlow(t *testing.T) <-chan string {
	t.Helper()
	response := make(chan string, 1)
	go func() {
		c := d.client()
		defer c.Close()
		got, err := c.Send(t.Context(), []byte("slow"))
		if err != nil {
			got = []byte(err.Error())
		}
		response <- string(got)
	}()
	eventually(t, "the request is in flight", func() bool {
		_, err := os.Stat(d.dir + "/started")
		return err == nil
	})
	return response
}
