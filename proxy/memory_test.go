package proxy

import (
	"math"
	"runtime/debug"
	"testing"
)

// TestLimitMemory: the limit is what the configuration lets the daemon use, and
// GOMEMLIMIT overrides it.
func TestLimitMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	cfg := load(t, oneDoor)
	cfg.Limits.MessageMemory, cfg.Limits.Spool.Memory, cfg.Sessions.Capacity = 256<<20, 64<<10, 100000
	cfg.Listeners[0].Megaki.MaxConnections = 10000
	want := int64(64<<20 + 256<<20 + 64<<20 + 51200000 + 10000*16<<10)
	if limit := LimitMemory(cfg); limit != want || debug.SetMemoryLimit(-1) != want {
		t.Errorf("the limit is %d, the runtime's is %d; want %d", limit, debug.SetMemoryLimit(-1), want)
	}
	debug.SetMemoryLimit(math.MaxInt64)
	t.Setenv("GOMEMLIMIT", "1GiB") // the runtime has read it at its start
	if limit := LimitMemory(cfg); limit != 0 || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		t.Errorf("with GOMEMLIMIT the limit is %d, the runtime's is %d", limit, debug.SetMemoryLimit(-1))
	}
}
