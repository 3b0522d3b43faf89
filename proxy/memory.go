package proxy

import (
	"os"
	"runtime/debug"

	"mkd/config"
)

// What the daemon takes besides what the configuration bounds, in bytes; see
// docs/operation.md.
const (
	baseMemory       = 64 << 20 // code, routes, pools, the log's queue
	connectionMemory = 16 << 10 // of a connection: goroutines, buffers, TLS
	sessionMemory    = 512      // of a session that can be resumed
	spoolingRequests = 1024     // requests whose bodies wait in memory at once
)

// LimitMemory has the garbage collector keep the daemon's memory within what the
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
	limit := baseMemory + int64(cfg.Limits.MessageMemory) +
		spoolingRequests*int64(cfg.Limits.Spool.Memory) +
		sessionMemory*int64(cfg.Sessions.Capacity)
	for i := range cfg.Listeners {
		limit += connectionMemory * int64(cfg.Listeners[i].MaxConnections())
	}
	return limit
}
