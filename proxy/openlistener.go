package proxy

import (
	"net"
	"os"
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

// Inherit gives the daemon listening sockets that were opened before it started, by
// systemd or by the process that it replaces. The name of a file is that of its
// listener, or the listener's address as it is configured. It is called before Start.
func (d *Daemon) Inherit(sockets []*os.File) { d.inherited = sockets }

// inheritedBy returns the socket for a listener, nil if there is none.
func (d *Daemon) inheritedBy(l *config.Listener) *os.File {
	for _, f := range d.inherited {
		if f.Name() == l.Name {
			return f
		}
	}
	for _, f := range d.inherited {
		if f.Name() == l.Address() {
			return f
		}
	}
	return nil
}

// closeInherited closes what the listeners have taken over, or don't want.
func (d *Daemon) closeInherited() {
	for _, f := range d.inherited {
		f.Close()
	}
	d.inherited = nil
}

func isAnyPort(address string) bool { return portOf(address) == "0" }

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}
