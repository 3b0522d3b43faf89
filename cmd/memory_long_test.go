//go:build long

package cmd

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mkd/megaki"
)

// halfConn drops the end of what is written to it while half is set.
type halfConn struct {
	net.Conn
	half atomic.Bool
}

func (c *halfConn) Write(p []byte) (int, error) {
	if !c.half.Load() {
		return c.Conn.Write(p)
	}
	if _, err := c.Conn.Write(p[:len(p)/100*99]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// memory returns the resident memory of the daemon, and its peak, in MiB.
func (d *daemon) memory(t *testing.T) (now, peak int) {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		switch f[0] {
		case "VmRSS:":
			now, _ = strconv.Atoi(f[1])
		case "VmHWM:":
			peak, _ = strconv.Atoi(f[1])
		}
	}
	return now >> 10, peak >> 10
}

// TestLongMemoryReturns fills message_memory with half-sent messages from many
// addresses, and ends them. The daemon stays within its limit of memory, and
// gives nearly all of it back to the system: the garbage collector runs every two
// minutes in an idle process, and pools hold what they have for two runs.
func TestLongMemoryReturns(t *testing.T) {
	// Without the race detector, which takes many times the memory.
	d := startDaemonWith(t, daemonOptions{limits: "message_memory: 256MiB", plain: true})
	before, _ := d.memory(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var clients sync.WaitGroup
	for i := range 600 {
		clients.Go(func() {
			conn, err := d.dialFrom(ctx, 1, byte(i%100))
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			half := &halfConn{Conn: conn}
			c, err := megaki.NewConn(ctx, half, &d.config)
			if err != nil {
				t.Error(err)
				return
			}
			half.half.Store(true)
			c.RoundTrip(ctx, make([]byte, 1<<20-100)) // until the daemon closes it, or the end
		})
	}
	full := 0
	eventually(t, "the memory is full", func() bool {
		full, _ = d.memory(t)
		return full > 200
	})
	time.Sleep(10 * time.Second) // the flood goes on
	full, peak := d.memory(t)
	cancel()
	clients.Wait()
	started := time.Now()
	after := full
	for after > before+64 && time.Since(started) < 7*time.Minute {
		time.Sleep(10 * time.Second)
		after, _ = d.memory(t)
		t.Logf("%v after the flood: %d MiB", time.Since(started).Round(time.Second), after)
	}
	t.Logf("resident memory: %d MiB before, %d in the flood, %d at its peak, %d after %v", before, full, peak, after, time.Since(started).Round(time.Second))
	if peak > 256+128 || after > before+64 {
		t.Errorf("resident memory: %d MiB before, %d in the flood, %d at its peak, %d after", before, full, peak, after)
	}
}
