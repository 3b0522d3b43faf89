package listener

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"mkd/config"
	"mkd/megaki"
	"mkd/proxy/keys"
	"mkd/proxy/listen"
	"mkd/proxy/logs"
	"mkd/proxy/request"
	"mkd/share"
)

// Status is the state of a listener, and what it has counted.
type Status struct {
	TLSFailures uint64        // TLS handshakes that failed
	Megaki      *megaki.Stats // of a Megaki listener
}

// add adds what other settings of the listener have counted.
func (s *Status) add(other Status) {
	s.TLSFailures += other.TLSFailures
	switch {
	case s.Megaki == nil:
		s.Megaki = other.Megaki
	case other.Megaki != nil:
		s.Megaki.Add(other.Megaki)
	}
}

// Daemon is what the listeners get from the daemon.
type Daemon struct {
	// Enter takes the current generation for a request to the listener.
	Enter func() request.Lease
	// Base is the context of all requests. It ends when they are cut off.
	Base context.Context
	// Trusted are the networks of proxies, which speak for many clients.
	Trusted []netip.Prefix
	Logs    *logs.Logs

	// HTTPMemory is for what the clients of HTTP and HTTPS listeners have sent and nobody
	// has read yet, in bytes: see limits.http_memory.
	HTTPMemory *share.Pool

	// Shared by the Megaki listeners.
	Memory     *megaki.Memory
	Sessions   megaki.SessionStore
	SessionTTL time.Duration
	Handshakes *keys.Ledger // counts those of each key; may be nil

	// TLS is the configuration of an HTTPS listener.
	TLS *tls.Config
	// Clients are the rules for certificates of its clients; nil: they aren't asked.
	Clients ClientRules
	// Challenge responds to an authority's http-01 challenge, or calls next.
	// It is for HTTP listeners.
	Challenge func(next http.Handler) http.Handler
}

// ClientRules are the rules for certificates of clients, by the name that a client asks
// for (SNI), in lower case, "" for none.
type ClientRules interface {
	// Asks reports whether clients that ask for a name are asked for a certificate.
	Asks(serverName string) bool
	// Misdirected reports whether other rules apply to requests for a host than to
	// connections that were opened for serverName.
	Misdirected(serverName, host string) bool
}

// kinds is the table of the kinds of listeners, by their sections in config.yaml. A
// section checks itself.
var kinds = map[string]func(*config.Listener, *Daemon, *shared) (server, error){
	"megaki": newMegaki,
	"https":  newHTTPS,
	"http":   newHTTP,
}

// Listener takes requests from clients at one socket. A reload changes its settings
// with Prepare and Use: each connection keeps those that it was accepted with.
type Listener struct {
	first  *Settings // until there is a socket
	socket *listen.Listener
	shared *shared
	log    *slog.Logger
	closed atomic.Bool
	ended  chan struct{} // closed when Serve has accepted the last connection; nil before Serve

	mu      sync.Mutex
	quic    *quicSocket // nil: no HTTP/3
	current *serving
	earlier map[*serving]struct{} // of earlier settings, with connections that are open
	gone    Status                // what settings have counted that have ended
}

// Settings are what one configuration makes of a listener.
type Settings struct {
	server  server
	shared  func() // moves the limits that all settings share
	options listen.Options
	http3   bool
	quic    *quicSocket // opened by OpenHTTP3, and not in use yet
}

// New returns a listener with the settings of its section. It reads the key files,
// and opens nothing.
func New(l *config.Listener, d *Daemon) (*Listener, error) {
	made := &Listener{shared: newShared(), log: d.Logs.Peers(l.Name), earlier: make(map[*serving]struct{})}
	var err error
	made.first, err = made.Prepare(l, d)
	return made, err
}

// Prepare returns the settings of a section, and changes nothing. It reads the key
// files.
func (l *Listener) Prepare(c *config.Listener, d *Daemon) (*Settings, error) {
	build, ok := kinds[c.Kind()]
	if !ok {
		return nil, fmt.Errorf("it must have one kind of %s", strings.Join(config.ListenerKinds(), ", "))
	}
	made, err := build(c, d, l.shared)
	if err != nil {
		return nil, err
	}
	return &Settings{
		server: made,
		shared: func() { l.shared.configure(c) },
		http3:  c.HTTPS != nil && c.HTTPS.HTTP3,
		options: listen.Options{
			Address:             c.Address(),
			MaxConnections:      c.MaxConnections(),
			MaxConnectionsPerIP: c.MaxConnectionsPerIP(),
			Exempt:              d.Trusted,
			ProxyProtocol:       Networks(c.ProxyFrom()),
			Logger:              d.Logs.Peers(c.Name),
		},
	}, nil
}

// Open opens the socket, or takes over that of file if it isn't nil. The file stays
// the caller's.
func (l *Listener) Open(file *os.File) (err error) {
	for range anyPortTries {
		err = l.open(file)
		_, port, _ := net.SplitHostPort(l.address())
		if port != "0" || !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
	}
	return err
}

// anyPortTries is how often a free port is taken that turns out to be in use for UDP.
const anyPortTries = 10

// address returns the address of settings that aren't open yet, "" if there are none.
func (l *Listener) address() string {
	if l.first == nil {
		return ""
	}
	return l.first.options.Address
}

func (l *Listener) open(file *os.File) (err error) {
	if file != nil {
		l.socket, err = listen.FromFile(file, l.first.options)
	} else {
		l.socket, err = listen.Listen(l.first.options)
	}
	if err != nil {
		return err
	}
	first := l.first
	first.shared()
	l.current, l.first = &serving{server: first.server}, nil
	if !first.http3 {
		return nil
	}
	if l.quic, err = newQUIC(l, l.log, file != nil); err != nil {
		l.socket.Close()
		l.socket, l.current, l.first = nil, nil, first
	}
	return err
}

// OpenHTTP3 opens the UDP socket that settings need, if the listener, which is open,
// doesn't have it.
func (l *Listener) OpenHTTP3(s *Settings) (err error) {
	l.mu.Lock()
	have := l.quic != nil
	l.mu.Unlock()
	if s.http3 && !have {
		s.quic, err = newQUIC(l, l.log, true)
	}
	return err
}

// Abandon closes what OpenHTTP3 has opened, for settings that don't come into use.
func (s *Settings) Abandon() {
	if s.quic != nil {
		s.quic.drain()
		s.quic.close()
	}
}

// Addr returns the address of the socket, nil before Open.
func (l *Listener) Addr() net.Addr {
	if l.socket == nil {
		return nil
	}
	return l.socket.Addr()
}

// File returns a descriptor of the socket, which goes on to listen when the listener
// closes.
func (l *Listener) File() (*os.File, error) { return l.socket.File() }

// Socket returns the socket, nil before Open.
func (l *Listener) Socket() *listen.Listener { return l.socket }

// Use has connections from now on served by other settings. Those that are open
// keep theirs.
func (l *Listener) Use(s *Settings) {
	l.socket.Configure(s.options) // checked with the configuration
	s.shared()
	l.mu.Lock()
	old := l.current
	l.current = &serving{server: s.server}
	quic := l.quic
	if s.quic != nil {
		l.quic = s.quic
	} else if !s.http3 {
		l.quic = nil
	}
	if old.connections > 0 {
		l.earlier[old] = struct{}{}
		old = nil
	} else {
		l.gone.add(old.status())
	}
	l.mu.Unlock()
	if quic != nil && !s.http3 {
		quic.drain()
		for _, s := range l.servers() {
			if h, ok := s.server.(*httpsListener); ok {
				h.http3.drain()
			}
		}
	}
	if old != nil {
		old.end()
	}
	l.drainUnasked(s.server)
}

// Serve accepts connections and serves them. It returns nil after Drain or Shutdown.
func (l *Listener) Serve() error {
	ended := make(chan struct{})
	l.mu.Lock()
	l.ended = ended
	l.mu.Unlock()
	err := accept(l.socket, l.log, l.ServeConn)
	close(ended)
	if l.closed.Load() {
		return nil
	}
	return errors.Join(err, net.ErrClosed)
}

// ServeConn serves a connection, on a goroutine of its own.
func (l *Listener) ServeConn(c net.Conn) {
	s := l.begin()
	done := func() { l.done(s) }
	go func() {
		if !s.serve(c, done) {
			done()
		}
	}()
}

// close stops accepting, and returns when no more connection begins. Those that are
// open stay open.
func (l *Listener) close() {
	l.closed.Store(true)
	if l.socket == nil {
		return
	}
	l.socket.Close()
	l.mu.Lock()
	ended, quic := l.ended, l.quic
	l.mu.Unlock()
	if quic != nil {
		quic.drain()
	}
	if ended != nil {
		<-ended
	}
}

// Drain stops accepting, and closes each connection after its next response:
// another process serves the socket. It returns when no connection is open, or when
// ctx ends.
func (l *Listener) Drain(ctx context.Context) {
	l.close()
	for _, s := range l.servers() {
		s.drain()
	}
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for l.Connections() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// drainTick is how often a listener that drains counts its connections.
const drainTick = 20 * time.Millisecond

// Shutdown stops accepting and closes idle connections. Requests in flight may end
// within ctx.
func (l *Listener) Shutdown(ctx context.Context) error {
	l.close()
	servers := l.servers()
	errs := make([]error, len(servers))
	var wg sync.WaitGroup
	for i, s := range servers {
		wg.Go(func() { errs[i] = s.shutdown(ctx) })
	}
	wg.Wait()
	l.mu.Lock()
	quic := l.quic
	l.mu.Unlock()
	if quic != nil {
		quic.close()
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
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
	t, ok := a.(interface{ AddrPort() netip.AddrPort }) // of TCP and UDP
	if !ok {
		return netip.AddrPort{}
	}
	p := t.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
