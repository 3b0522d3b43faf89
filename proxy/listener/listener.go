package listener

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"mkd/config"
	"mkd/megaki"
	"mkd/proxy/logs"
	"mkd/proxy/request"
)

// Listener takes requests from clients. Its methods are called in their order,
// once each.
type Listener interface {
	// Listen opens the socket.
	Listen() (net.Listener, error)
	// Serve accepts connections and serves them. It returns nil after Shutdown.
	Serve(net.Listener) error
	// Shutdown stops accepting. Requests in flight may end within ctx.
	Shutdown(ctx context.Context) error
}

// Daemon is what the listeners get from the daemon.
type Daemon struct {
	// Enter takes the current generation for a request to a listener.
	Enter func(listener string) request.Lease
	// Base is the context of all requests. It ends when they are cut off.
	Base context.Context
	// Trusted are the networks of proxies, which speak for many clients.
	Trusted []netip.Prefix
	Logs    *logs.Logs

	// Shared by the Megaki listeners.
	Memory     *megaki.Memory
	Sessions   megaki.SessionStore
	SessionTTL time.Duration

	// TLS is the configuration of an HTTPS listener.
	TLS *tls.Config

	// Challenge responds to an authority's http-01 challenge, or has next respond.
	// It is for HTTP listeners.
	Challenge func(next http.Handler) http.Handler
}

// kinds is the table of the kinds of listeners.
var kinds = []struct {
	name string // its section in config.yaml
	has  func(*config.Listener) bool
	new  func(*config.Listener, *Daemon) (Listener, error)
}{
	{"megaki", func(l *config.Listener) bool { return l.Megaki != nil }, newMegaki},
	{"https", func(l *config.Listener) bool { return l.HTTPS != nil }, newHTTPS},
	{"http", func(l *config.Listener) bool { return l.HTTP != nil }, newHTTP},
}

// New returns a listener of the kind that its section names.
func New(l *config.Listener, d *Daemon) (Listener, error) {
	for _, k := range kinds {
		if k.has(l) {
			return k.new(l, d)
		}
	}
	return nil, errors.New("it has no kind")
}

// Networks parses networks of a checked configuration.
func Networks(list []string) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, s := range list {
		prefixes = append(prefixes, config.Network(s))
	}
	return prefixes
}

// addrPort returns the address of one end of a connection.
func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := t.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
