package proxy

import (
	"net"
	"sync/atomic"

	"mkd/config"
	"mkd/proxy/listener"
	"mkd/proxy/request"
)

// openListener is a listener, and the generation that its requests enter.
type openListener struct {
	*listener.Listener
	cfg   atomic.Pointer[config.Listener]
	entry atomic.Pointer[entry]
}

func (l *openListener) config() *config.Listener { return l.cfg.Load() }

// enter takes the current generation for a request. For a listener that a reload has
// removed, it is the last one that had the listener.
func (l *openListener) enter() request.Lease {
	for {
		e := l.entry.Load()
		if e.generation.hold() {
			return e
		}
		// It was replaced in the meantime.
	}
}

func isAnyPort(address string) bool { return portOf(address) == "0" }

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}
