// Package listen opens the TCP listeners of the daemon. A listener can bound
// how many connections are open at once, and learn clients' addresses from
// proxies in front of it by the PROXY protocol
// (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt).
package listen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"mkd/share"
)

// DefaultHeaderTimeout is for Options whose HeaderTimeout is zero.
const DefaultHeaderTimeout = 5 * time.Second

// bindTimeout bounds the lookup of an address that is a host's name.
const bindTimeout = 10 * time.Second

// Options configure a listener.
type Options struct {
	// Address is HOST:PORT. Without a host it is all addresses of the machine,
	// IPv4 and IPv6; port 0 takes a free one.
	Address string

	// MaxConnections bounds the connections that are open at once. The next
	// one waits in the kernel until one is closed. 0: no bound here.
	//
	// While more than 75 % of them are open, a client, which is an IPv4 address
	// or an IPv6 /64, has no more than its share (see package share): a further
	// connection is closed at once, or, if it comes through a proxy, once its
	// PROXY header is read.
	MaxConnections int

	// MaxConnectionsPerIP bounds the connections of each client, however many
	// others there are. 0: no such bound.
	MaxConnectionsPerIP int

	// Exempt are the networks of trusted proxies that send no PROXY header.
	// Neither bound of a client applies to them.
	Exempt []netip.Prefix

	// ProxyProtocol are the networks of proxies. A connection from there has to
	// begin with a header of the PROXY protocol, version 1 or 2, and counts as the
	// client's in the header. A connection from elsewhere is passed on as it is; a
	// header there is data.
	ProxyProtocol []netip.Prefix

	// HeaderTimeout bounds how long a header may take, from the accepted
	// connection on. Default: DefaultHeaderTimeout.
	HeaderTimeout time.Duration

	// Logger logs what is wrong with headers: a connection that ended before its
	// first byte, as those of health checks do, at level debug, all else at level
	// warn. Default: none.
	Logger *slog.Logger
}

// Listen opens a listener. Accept never waits for a client to send something: the
// header of a proxy is read when the connection is first used, by RemoteAddr, Read
// or Write, so use it on a goroutine of its own. When
// the header is missing or broken, Read and Write fail, and RemoteAddr is the
// proxy's.
//
// Accept returns a *net.TCPConn, unless the connection comes from one of the
// networks of ProxyProtocol or counts for one of the bounds. Then it returns a
// net.Conn that has CloseWrite, ReadFrom and SyscallConn as well.
func Listen(o Options) (net.Listener, error) {
	if min(int64(o.MaxConnections), int64(o.MaxConnectionsPerIP), int64(o.HeaderTimeout)) < 0 {
		return nil, errors.New("listen: a limit of a listener is negative")
	}
	l := &listener{
		proxies: o.ProxyProtocol,
		timeout: cmp.Or(o.HeaderTimeout, DefaultHeaderTimeout),
		log:     o.Logger,
		closed:  make(chan struct{}),
	}
	for _, p := range slices.Concat(o.ProxyProtocol, o.Exempt) {
		if !p.IsValid() {
			return nil, errors.New("listen: a network of proxies is no valid prefix")
		}
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if o.MaxConnections > 0 || o.MaxConnectionsPerIP > 0 {
		l.slots = newSlots(&o, l.log)
	}

	ctx, cancel := context.WithTimeout(context.Background(), bindTimeout)
	defer cancel()
	config := net.ListenConfig{Control: control}
	tcp, err := config.Listen(ctx, "tcp", o.Address)
	if err != nil {
		return nil, explain(o.Address, err)
	}
	l.tcp = tcp.(*net.TCPListener)
	if l.proxies == nil && l.slots == nil {
		return l.tcp, nil
	}
	return l, nil
}

// explain adds to the error of an address what can be done about it.
func explain(address string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) { // it would repeat the address
		err = op.Err
	}
	hint := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "; another program listens there (ss -ltnp shows which one): stop it, or choose another address"
	case errors.Is(err, syscall.EACCES):
		hint = "; a port below 1024 needs the capability CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "; this machine has no such address"
	}
	return fmt.Errorf("can't listen on %s: %w%s", address, err, hint)
}

type listener struct {
	tcp     *net.TCPListener
	proxies []netip.Prefix
	timeout time.Duration
	log     *slog.Logger
	slots   *slots // nil: connections are not counted

	once   sync.Once
	closed chan struct{}
}

// Accept waits for a slot first, and then for a connection: so connections wait in
// the kernel, where they cost little. A connection of a client that has its share
// is closed, and the next one accepted.
func (l *listener) Accept() (net.Conn, error) {
	if !l.slots.reserve(l.closed) {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	for {
		tcp, err := l.tcp.AcceptTCP()
		if err != nil {
			l.slots.free()
			return nil, err
		}
		addr := peer(tcp)
		proxied := share.Contains(l.proxies, addr)
		if !proxied && l.slots == nil {
			return tcp, nil
		}
		c := &conn{tcp: tcp}
		if proxied {
			addr = netip.Addr{}
		}
		if l.slots != nil {
			if c.slot = l.slots.take(addr); c.slot == nil {
				tcp.Close()
				continue
			}
		}
		if proxied {
			c.header = newHeader(tcp, c.slot, time.Now().Add(l.timeout), l.log)
		}
		return c, nil
	}
}

// Close stops listening. Accepted connections stay as they are.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.tcp.Close()
}

func (l *listener) Addr() net.Addr { return l.tcp.Addr() }
