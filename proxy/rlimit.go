package proxy

import (
	"fmt"
	"syscall"

	"mkd/config"
)

// descriptorsBesides is how many descriptors the daemon needs besides one for
// each connection and six for each worker.
const descriptorsBesides = 64

// Check returns warnings about a valid configuration that doesn't fit this
// machine, one line each.
func Check(cfg *config.Config) ([]string, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil, fmt.Errorf("reading the limit of descriptors: %w", err)
	}
	return checkDescriptors(cfg, limit.Max), nil
}

// checkDescriptors compares what the configuration may open with the hard limit,
// to which Go's runtime raises the soft one.
func checkDescriptors(cfg *config.Config, limit uint64) []string {
	connections, workers := 0, 0
	for i := range cfg.Listeners {
		connections += cfg.Listeners[i].MaxConnections()
	}
	for i := range cfg.Backends {
		if p := cfg.Backends[i].PHP; p != nil {
			workers += p.Workers.Max
		}
	}
	need := uint64(connections + 6*workers + descriptorsBesides)
	if need <= limit {
		return nil
	}
	return []string{fmt.Sprintf("max_connections is %d in all, which with %d PHP workers takes up to %d descriptors, but the limit is %d: "+
		"raise it (ulimit -Hn, LimitNOFILE= in systemd) or lower max_connections", connections, workers, need, limit)}
}
