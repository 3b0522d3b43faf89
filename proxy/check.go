package proxy

import (
	"fmt"
	"syscall"

	"mkd/config"
)

// descriptorsBesides is how many descriptors the daemon needs besides one a
// connection and six a worker.
const descriptorsBesides = 64

// Check returns warnings about a configuration that is right in itself but
// doesn't fit this machine: one a line, none if all is well.
func Check(cfg *config.Config) ([]string, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil, fmt.Errorf("asking for the limit of descriptors: %w", err)
	}
	return checkDescriptors(cfg, limit.Max), nil
}

// checkDescriptors compares what the configuration may open with the hard
// limit, which Go's runtime makes use of.
func checkDescriptors(cfg *config.Config, limit uint64) []string {
	connections, workers := 0, 0
	for i := range cfg.Listeners {
		switch l := &cfg.Listeners[i]; {
		case l.Megaki != nil:
			connections += l.Megaki.MaxConnections
		case l.HTTPS != nil:
			connections += l.HTTPS.MaxConnections
		default:
			connections += l.HTTP.MaxConnections
		}
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
