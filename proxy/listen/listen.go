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
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

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
// net.Conn that has CloseWrite, ReadFrom, SyscallConn and Detach as well.
func Listen(o Options) (*Listener, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), bindTimeout)
	defer cancel()
	config := net.ListenConfig{Control: control, KeepAlive: keepAlive}
	config.SetMultipathTCP(false) // connections wouldn't inherit all options from its sockets
	tcp, err := config.Listen(ctx, "tcp", o.Address)
	if err != nil {
		return nil, explain(o.Address, err)
	}
	return newListener(tcp.(*net.TCPListener), o), nil
}

// FromFile is Listen for a listening TCP socket that another process, or another
// Listener, has opened. The file stays the caller's.
func FromFile(f *os.File, o Options) (*Listener, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("taking over the socket %s: %w", f.Name(), err)
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		l.Close()
		return nil, fmt.Errorf("taking over the socket %s: it isn't a TCP socket that listens", f.Name())
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		control("", "", raw)
	}
	return newListener(tcp, o), nil
}

// check checks the options but for the address.
func (o *Options) check() error {
	if min(int64(o.MaxConnections), int64(o.MaxConnectionsPerIP), int64(o.HeaderTimeout)) < 0 {
		return errors.New("listen: a limit of a listener is negative")
	}
	for _, p := range slices.Concat(o.ProxyProtocol, o.Exempt) {
		if !p.IsValid() {
			return errors.New("listen: a network of proxies is no valid prefix")
		}
	}
	return nil
}

func newListener(tcp *net.TCPListener, o Options) *Listener {
	l := &Listener{tcp: tcp, log: o.Logger, closed: make(chan struct{})}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	l.slots = newSlots(&o, l.log)
	l.rules.Store(newRules(&o))
	return l
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

// Listener is a TCP listener. It is safe for use by several goroutines, but for
// Accept, which one at a time may call.
type Listener struct {
	tcp   *net.TCPListener
	log   *slog.Logger
	slots *slots
	rules atomic.Pointer[rules]

	once   sync.Once
	closed chan struct{}
}

// rules are the options that hold for connections from their acceptance on.
type rules struct {
	proxies []netip.Prefix
	timeout time.Duration
	counted bool
	shares  bool // an address has a share of the connections
}

func newRules(o *Options) *rules {
	return &rules{o.ProxyProtocol, cmp.Or(o.HeaderTimeout, DefaultHeaderTimeout), o.MaxConnections > 0 || o.MaxConnectionsPerIP > 0, o.MaxConnectionsPerIP > 0}
}

// Configure changes the options, all but Address and Logger, for connections that
// are accepted from now on. Those that are open count, and stay.
func (l *Listener) Configure(o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	l.slots.configure(&o)
	l.rules.Store(newRules(&o))
	return nil
}

// File returns a descriptor of the socket, which goes on to listen when the
// Listener is closed. The caller closes it.
func (l *Listener) File() (*os.File, error) { return Dup(l.tcp, l.Addr().String()) }

// Dup returns another descriptor of a socket, which can be given to another process.
// With the File method of package net the socket would block from then on: Close would
// wait for an Accept that no connection ends.
func Dup(socket syscall.Conn, name string) (*os.File, error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	var dup int
	if e := raw.Control(func(fd uintptr) { dup, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(dup), name), nil
}

// Accept waits for a slot first, and then for a connection: so connections wait in
// the kernel, where they cost little. A connection of a client that has its share
// is closed, and the next one accepted.
func (l *Listener) Accept() (net.Conn, error) {
	if !l.slots.reserve(l.closed) {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	for {
		tcp, err := l.tcp.AcceptTCP()
		if err != nil {
			l.slots.free()
			return nil, err
		}
		r := l.rules.Load()
		addr := peer(tcp)
		proxied := share.Contains(r.proxies, addr)
		if !proxied && !r.counted {
			l.slots.free()
			return tcp, nil
		}
		c := newConn(tcp)
		if proxied {
			addr = netip.Addr{}
		}
		if c.slot = l.slots.take(addr); c.slot == nil {
			tcp.Close()
			continue
		}
		if proxied {
			c.header = newHeader(tcp, c.slot, time.Now().Add(r.timeout), l.log)
		}
		return c, nil
	}
}

// HasShares reports whether an address has a share of the connections
// (Options.MaxConnectionsPerIP).
func (l *Listener) HasShares() bool { return l.rules.Load().shares }

// Take counts a connection from addr that comes in by another socket, as those of QUIC,
// for the same bounds. It doesn't wait, and reports false if there is no slot, or the
// client has its share. Otherwise release gives the slot back; it is called once.
func (l *Listener) Take(addr netip.Addr) (release func(), ok bool) {
	if !l.slots.tryReserve() {
		l.slots.refuse(addr)
		return nil, false
	}
	s := l.slots.take(addr)
	if s == nil {
		l.slots.free()
		return nil, false
	}
	return s.release, true
}

// Close stops listening. Accepted connections stay as they are.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.tcp.Close()
}

func (l *Listener) Addr() net.Addr { return l.tcp.Addr() }
