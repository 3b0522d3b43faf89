package proxy

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"

	"mkd/config"
)

// What the daemon takes besides what the configuration bounds, in bytes; see
// docs/operation.md.
const (
	baseMemory       = 64 << 20 // code, routes, pools, the log's queue
	connectionMemory = 16 << 10 // of a connection: goroutines, buffers, TLS
	sessionMemory    = 640      // of a session that can be resumed
)

// LimitMemory makes the garbage collector keep the daemon's memory within what the
// configuration allows it to use. Without a limit it lets the memory grow to
// twice what is in use. The environment variable GOMEMLIMIT overrides the limit.
// It returns the limit in bytes, 0 if the environment sets it.
func LimitMemory(cfg *config.Config) int64 {
	if os.Getenv("GOMEMLIMIT") != "" {
		return 0
	}
	limit := memoryLimit(cfg)
	debug.SetMemoryLimit(limit)
	return limit
}

func memoryLimit(cfg *config.Config) int64 {
	messages := int64(cfg.Limits.MessageMemory)
	limit := baseMemory + messages + messages/4 + // a quarter for MACs
		int64(cfg.Limits.Spool.MaxMemory) +
		sessionMemory*int64(cfg.Sessions.Capacity)
	if slices.ContainsFunc(cfg.Listeners, func(l config.Listener) bool { return l.Web() != nil }) {
		limit += int64(cfg.Limits.HTTPMemory)
	}
	for i := range cfg.Listeners {
		limit += connectionMemory * int64(cfg.Listeners[i].MaxConnections())
	}
	return limit
}

const (
	memoryInterval = 30 * time.Second
	memoryGrowth   = 64 << 20 // bytes
)

// returnMemory gives memory back to the system after a flood, until ctx ends. The
// runtime does so by itself while it collects garbage, but an idle process collects
// every two minutes, and keeps the buffers of pools for two collections more.
// returnMemory collects when the heap has grown by memoryGrowth and no collection
// was needed for memoryInterval; so it does nothing under load, and nothing in a
// process that stays idle.
func returnMemory(ctx context.Context) {
	ticker := time.NewTicker(memoryInterval)
	defer ticker.Stop()
	low, cycles := heap()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		size, now := heap()
		if now == cycles && size > low+memoryGrowth {
			debug.FreeOSMemory()
			debug.FreeOSMemory() // the first leaves what pools held
			low, _ = heap()
		}
		low, cycles = min(low, size), now
	}
}

// heap returns the resident bytes of the heap, and the number of collections that
// nobody forced.
func heap() (size, cycles uint64) {
	samples := []metrics.Sample{
		{Name: "/gc/cycles/automatic:gc-cycles"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	for _, s := range samples[1:] {
		size += s.Value.Uint64()
	}
	return size, samples[0].Value.Uint64()
}
