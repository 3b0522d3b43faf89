package php

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

// TestStalledMessage: a call ends in time although the reader of its message stalls,
// and the reader is closed.
func TestStalledMessage(t *testing.T) {
	gone := errors.New("the client has left")
	for name, c := range map[string]struct {
		timeout time.Duration
		end     func(p *Pool, cancel context.CancelCauseFunc)
		want    func(err error) bool
	}{
		"timeout":   {200 * time.Millisecond, nil, func(err error) bool { return err == ErrTimeout }},
		"cancelled": {0, func(_ *Pool, cancel context.CancelCauseFunc) { cancel(gone) }, func(err error) bool { return err == gone }},
		"killed": {0, func(p *Pool, _ context.CancelCauseFunc) {
			syscall.Kill(p.Status().Workers[0].PID, syscall.SIGKILL)
		}, func(err error) bool { return errors.As(err, new(*WorkerError)) }},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Timeout: c.timeout})
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			message, client := io.Pipe()
			done := make(chan error)
			go func() { done <- p.Do(ctx, &Call{Body: []byte("echo "), More: message}, io.Discard) }()
			if _, err := client.Write([]byte("the first part")); err != nil {
				t.Fatal(err)
			}
			if c.end != nil {
				c.end(p, cancel)
			}
			if err := <-done; !c.want(err) {
				t.Errorf("error %v", err)
			}
			if _, err := client.Write([]byte("more")); err != io.ErrClosedPipe {
				t.Errorf("the message's reader isn't closed: %v", err)
			}
			if n := p.stuck.Load(); n != 0 {
				t.Errorf("%d readers are left", n)
			}
			mustDo(t, p, "pid")
		})
	}
}

// TestReadersLeftBehindAreBounded: the number of stalled readers that can't be
// closed is bounded.
func TestReadersLeftBehindAreBounded(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Timeout: 100 * time.Millisecond})
	message, client := io.Pipe()
	stalled := func() error {
		return p.Do(t.Context(), &Call{Body: []byte("echo "), More: struct{ io.Reader }{message}}, io.Discard)
	}
	if err := stalled(); err != ErrTimeout {
		t.Errorf("error %v", err)
	}
	if err := stalled(); err == nil || !strings.Contains(err.Error(), "1 readers of messages haven't returned") {
		t.Errorf("another one: %v", err)
	}
	mustDo(t, p, "pid")
	client.Close()
	eventually(t, "the reader has returned", func() bool { return p.stuck.Load() == 0 })
	if err := p.Do(t.Context(), &Call{Body: []byte("echo "), More: strings.NewReader("x")}, io.Discard); err != nil {
		t.Error(err)
	}
}

// TestMessageCutOff: io.ErrUnexpectedEOF isn't the end of a message, and a deadline
// of the reader isn't the call's.
func TestMessageCutOff(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	for _, broken := range []error{io.ErrUnexpectedEOF, os.ErrDeadlineExceeded, syscall.EPIPE} {
		more := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken))
		var response strings.Builder
		if err := p.Do(t.Context(), &Call{Body: []byte("echo "), More: more}, &response); err != broken {
			t.Errorf("%v: error %v, response %q", broken, err, response.String())
		}
	}
}
