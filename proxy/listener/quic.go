package listener

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
)

// quicSocket is the UDP socket of a listener with HTTP/3. It isn't handed over to the
// next process: packets of connections that are open would arrive there. The next
// process opens its own once this one has none left; until then its clients use TCP.
type quicSocket struct {
	listener   *Listener
	log        *slog.Logger
	handshakes atomic.Int32 // that aren't done
	stop       context.CancelFunc
	stopped    context.Context

	mu        sync.Mutex
	transport *quic.Transport // nil: the socket isn't open yet
	accepting *quic.Listener
	conns     sync.WaitGroup
}

// quicRetry is how often a port is tried that another process still has.
const quicRetry = 200 * time.Millisecond

// unverifiedHandshakes is how many handshakes there may be before a client has to show
// that its address is its own, which takes one more round trip.
const unverifiedHandshakes = 64

// newQUIC opens the UDP socket beside the TCP socket of a listener. If patient, and the
// port is in use, it goes on trying in the background.
func newQUIC(l *Listener, log *slog.Logger, patient bool) (*quicSocket, error) {
	q := &quicSocket{listener: l, log: log}
	q.stopped, q.stop = context.WithCancel(context.Background())
	conn, err := q.listen()
	switch {
	case err == nil:
		err = q.open(conn)
	case patient && errors.Is(err, syscall.EADDRINUSE):
		log.Info("HTTP/3 waits for its port, which another process still has", "address", l.Addr().String()+"/udp")
		go q.await()
		return q, nil
	}
	if err != nil {
		return nil, fmt.Errorf("HTTP/3: can't listen on %s/udp: %w", l.Addr(), err)
	}
	return q, nil
}

func (q *quicSocket) listen() (*net.UDPConn, error) {
	tcp := q.listener.Addr().(*net.TCPAddr)
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: tcp.IP, Port: tcp.Port, Zone: tcp.Zone})
	var op *net.OpError
	if errors.As(err, &op) { // it would repeat the address
		err = op.Err
	}
	return conn, err
}

// await opens the socket when its port is free.
func (q *quicSocket) await() {
	tick := time.NewTicker(quicRetry)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-q.stopped.Done():
			return
		}
		conn, err := q.listen()
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err == nil {
			err = q.open(conn)
		}
		if err != nil {
			q.log.Error("HTTP/3 isn't served", "error", err)
		}
		return
	}
}

// open begins to serve on a socket.
func (q *quicSocket) open(conn *net.UDPConn) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped.Err() != nil {
		return conn.Close()
	}
	os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true") // it would go to standard error as it is
	var reset quic.StatelessResetKey
	rand.Read(reset[:])
	t := &quic.Transport{
		Conn:                conn,
		StatelessResetKey:   &reset,
		ConnContext:         q.connContext,
		VerifySourceAddress: q.mustVerify,
	}
	accepting, err := t.Listen(&tls.Config{GetConfigForClient: q.tlsConfig}, &quic.Config{GetConfigForClient: q.quicConfig})
	if err != nil {
		t.Close()
		conn.Close()
		return err
	}
	q.transport, q.accepting = t, accepting
	q.conns.Go(func() { q.serve(accepting) })
	port := conn.LocalAddr().(*net.UDPAddr).Port
	q.listener.shared.http3.Store(&[]string{fmt.Sprintf(`h3=":%d"; ma=%d`, port, altSvcAge)})
	return nil
}

// mustVerify reports whether a client has to show that it receives what is sent to its
// address before it takes a place. Where an address has a share of the places, another
// one could else use it up in its name.
func (q *quicSocket) mustVerify(net.Addr) bool {
	return q.listener.socket.HasShares() || q.handshakes.Load() >= unverifiedHandshakes
}

// altSvcAge is how long clients remember that there is HTTP/3, in seconds.
const altSvcAge = 24 * 60 * 60

// quicConn is a connection from its first packet on.
type quicConn struct {
	server *http3Server
	shaken func() // notes that the handshake is done
	heads  *http3Heads
}

type quicKey struct{}

// headsOf returns the heads of the connection that a context is of.
func headsOf(ctx context.Context) *http3Heads { return ctx.Value(quicKey{}).(*quicConn).heads }

var (
	errQUICBusy = errors.New("max_connections or this client's share of them are open")
	errQUICOff  = errors.New("HTTP/3 isn't served any more")
)

// connContext takes the place of a connection, and the settings that it will have. The
// context ends when the connection is closed.
func (q *quicSocket) connContext(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	release, ok := q.listener.socket.Take(addrPort(info.RemoteAddr).Addr())
	if !ok {
		return nil, errQUICBusy
	}
	s := q.listener.begin()
	h, ok := s.server.(*httpsListener)
	if !ok || h.http3 == nil {
		q.listener.done(s)
		release()
		return nil, errQUICOff
	}
	unread := h.newUnread(addrPort(info.RemoteAddr))
	if !unread.Take(quicMemory) {
		q.listener.done(s)
		release()
		return nil, errHTTPMemory
	}
	q.handshakes.Add(1)
	c := &quicConn{
		server: h.http3,
		shaken: sync.OnceFunc(func() { q.handshakes.Add(-1) }),
		heads:  &http3Heads{unread: unread, taken: make(map[quic.StreamID]int64)},
	}
	context.AfterFunc(ctx, func() {
		c.shaken()
		unread.Give(quicMemory)
		q.listener.done(s)
		release()
	})
	return context.WithValue(ctx, quicKey{}, c), nil
}

func (q *quicSocket) tlsConfig(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	c, ok := hello.Context().Value(quicKey{}).(*quicConn)
	if !ok {
		return nil, errQUICOff
	}
	return c.server.tlsConfig(hello)
}

// quicConfig returns the settings of a connection: the current ones, since it has no
// context yet.
func (q *quicSocket) quicConfig(*quic.ClientInfo) (*quic.Config, error) {
	q.listener.mu.Lock()
	current := q.listener.current
	q.listener.mu.Unlock()
	h, ok := current.server.(*httpsListener)
	if !ok || h.http3 == nil {
		return nil, errQUICOff
	}
	return h.http3.quicConfig(), nil
}

// serve accepts connections until drain or close.
func (q *quicSocket) serve(l *quic.Listener) {
	for {
		conn, err := l.Accept(context.Background())
		if err != nil {
			return
		}
		c := conn.Context().Value(quicKey{}).(*quicConn)
		c.shaken()
		q.conns.Go(func() { c.server.serve(conn) })
	}
}

// drain accepts no more connections. The socket is closed once those that are open have
// ended.
func (q *quicSocket) drain() {
	q.stop()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.listener.shared.http3.Store(nil)
	if q.transport == nil {
		return
	}
	q.accepting.Close()
	go func() {
		q.conns.Wait()
		q.close()
	}()
}

// close closes the socket, and all connections.
func (q *quicSocket) close() {
	q.stop()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.transport == nil {
		return
	}
	q.accepting.Close()
	q.transport.Close()
	q.transport.Conn.Close()
}
