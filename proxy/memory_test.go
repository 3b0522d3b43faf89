package proxy

import (
	"context"
	"math"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mkd/config"
)

// TestLimitMemory: the limit is what the configuration lets the daemon use, and
// GOMEMLIMIT overrides it.
func TestLimitMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	cfg := load(t, oneListener)
	cfg.Limits.MessageMemory, cfg.Limits.Spool.MaxMemory, cfg.Sessions.Capacity = 256<<20, 64<<20, 100000
	cfg.Listeners[0].Megaki.MaxConnections = 10000
	want := int64(64<<20 + 256<<20 + 64<<20 + 64<<20 + 64000000 + 10000*16<<10)
	if limit := LimitMemory(cfg); limit != want || debug.SetMemoryLimit(-1) != want {
		t.Errorf("the limit is %d, the runtime's is %d; want %d", limit, debug.SetMemoryLimit(-1), want)
	}
	cfg.Limits.HTTPMemory = 100 << 20
	cfg.Listeners = append(cfg.Listeners, config.Listener{HTTP: &config.HTTP{Web: config.Web{MaxConnections: 10}}})
	if limit := LimitMemory(cfg); limit != want+100<<20+10*16<<10 {
		t.Errorf("with an HTTP listener the limit is %d", limit)
	}
	debug.SetMemoryLimit(math.MaxInt64)
	t.Setenv("GOMEMLIMIT", "1GiB") // the runtime has read it at its start
	if limit := LimitMemory(cfg); limit != 0 || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		t.Errorf("with GOMEMLIMIT the limit is %d, the runtime's is %d", limit, debug.SetMemoryLimit(-1))
	}
}

// TestReturnMemory: what was used in a flood, and waits in pools, goes back to the
// system within a minute.
func TestReturnMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		debug.FreeOSMemory()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go returnMemory(ctx)
		synctest.Wait()
		before, _ := heap()
		pool := new(sync.Pool)
		buffers := make([][]byte, 256)
		for i := range buffers {
			buffers[i] = make([]byte, 1<<20)
		}
		for i := range buffers {
			pool.Put(&buffers[i])
		}
		if flood, _ := heap(); flood < before+200<<20 {
			t.Fatalf("the heap has %d MiB, before %d", flood>>20, before>>20)
		}
		time.Sleep(2*memoryInterval + time.Second)
		synctest.Wait()
		if after, _ := heap(); after > before+32<<20 {
			t.Errorf("the heap has %d MiB, before %d", after>>20, before>>20)
		}
	})
}
