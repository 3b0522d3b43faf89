package proxy

import (
	"fmt"
	"strings"
	"syscall"

	"mkd/config"
	"mkd/proxy/backend"
)

// descriptorsBesides is how many descriptors the daemon needs besides one for
// each connection, also to servers, and six for each worker.
const descriptorsBesides = 64

// Check returns warnings about a valid configuration that doesn't fit this
// machine, one line each.
func Check(cfg *config.Config) ([]string, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil, fmt.Errorf("reading the limit of descriptors: %w", err)
	}
	return append(checkDescriptors(cfg, limit.Max), checkWritable(cfg)...), nil
}

// checkDescriptors compares what the configuration may open with the hard limit,
// to which Go's runtime raises the soft one.
func checkDescriptors(cfg *config.Config, limit uint64) []string {
	connections, inFlight, workers, servers := 0, 0, 0, false
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		connections += l.MaxConnections()
		if web := l.Web(); web != nil {
			inFlight += web.MaxRequests
		} else {
			inFlight += l.MaxConnections()
		}
	}
	for i := range cfg.Backends {
		b := &cfg.Backends[i]
		workers += backend.Workers(b)
		servers = servers || backend.Connects(b)
	}
	need := connections + 6*workers + descriptorsBesides
	with := []string{"mkd's own files"}
	if workers > 0 {
		with = append(with, fmt.Sprintf("%d PHP workers", workers))
	}
	if servers { // each request in flight may have a connection to one
		need += inFlight
		with = append(with, fmt.Sprintf("a connection to a server for each of %d requests in flight", inFlight))
	}
	if uint64(need) <= limit {
		return nil
	}
	return []string{fmt.Sprintf("max_connections is %d in all, which with %s takes up to %d descriptors, but the limit is %d: "+
		"raise it (ulimit -Hn, LimitNOFILE= in systemd) or lower max_connections", connections, strings.Join(with, " and "), need, limit)}
}
