package php

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"
)

// lateDeadline is a context that gets its deadline late: who waits for its end before
// waits for the end of the one around it, as with a route's timeout.
type lateDeadline struct {
	context.Context
	at time.Time
}

func (c *lateDeadline) Deadline() (time.Time, bool) { return c.at, !c.at.IsZero() }

// TestEarlierDeadline: a deadline that a context gets in the midst of a call counts
// from then on.
func TestEarlierDeadline(t *testing.T) {
	out, worker, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := newPipe(in, out)
	defer worker.Close()
	defer p.close()
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	ctx := &lateDeadline{Context: parent}
	p.begin(ctx, time.Now().Add(time.Hour))
	defer p.end()
	time.AfterFunc(2*patience, func() { worker.WriteString("head") })
	b := make([]byte, 10)
	if n, err := p.Read(b); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	ctx.at = time.Now().Add(2 * patience)
	p.extend(time.Now().Add(time.Hour))
	if _, err := p.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if now := time.Now(); now.Before(ctx.at) {
		t.Errorf("it ended %v too early", ctx.at.Sub(now))
	}
}
