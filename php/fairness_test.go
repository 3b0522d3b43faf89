package php

import (
	"bytes"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

var greedy, modest = prefix("192.0.2.1/32"), prefix("2001:db8::/64")

// TestQueueIsFair: a client with one call waits for one call of a client with
// 1,000, not for all of them.
func TestQueueIsFair(t *testing.T) {
	const calls = 1000
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Queue: calls, QueueTimeout: time.Minute, Script: script(t, `
		$served = 0;
		$ARCANGELO_USERSPACE = ['on_handle' => function () {
			global $served;
			if (str_starts_with(arca::$request, 'until ')) {
				while (!file_exists(substr(arca::$request, 6))) { usleep(1000); clearstatcache(); }
				return '';
			}
			return (string) $served++;
		}];`)})
	send := func(client netip.Prefix, message string) (string, error) {
		var response bytes.Buffer
		err := p.Do(t.Context(), &Call{Client: client, Body: []byte(message)}, &response)
		return response.String(), err
	}
	message, open := blocker(t)
	var wg sync.WaitGroup
	wg.Go(func() { send(greedy, message) })
	eventually(t, "the worker is busy", func() bool { return busyWorkers(p) == 1 })
	var refused atomic.Int64
	for range calls {
		wg.Go(func() {
			if _, err := send(greedy, ""); err == ErrQueueFull {
				refused.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "the queue is full", func() bool { return p.Status().Waiting == calls })
	var position string
	wg.Go(func() {
		var err error
		if position, err = send(modest, ""); err != nil {
			t.Errorf("the modest client: %v", err)
		}
	})
	eventually(t, "the greedy client has lost a call", func() bool { return refused.Load() == 1 })
	open()
	wg.Wait()
	if position != "0" && position != "1" {
		t.Errorf("%s calls were served before the modest client's", position)
	}
	if c := p.Status().Counts; refused.Load() != 1 || c.QueueFull != 1 || c.Requests != calls+1 {
		t.Errorf("%d calls were refused, counts %+v", refused.Load(), c)
	}
}
