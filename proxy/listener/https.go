package listener

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"mkd/config"
)

// httpsListener serves HTTP over TLS. The client chooses HTTP/1.1 or
// HTTP/2 in the handshake (RFC 7301).
type httpsListener struct {
	*web
	tls        *tls.Config
	http2      *http.Server
	serving    sync.Once // begins to serve HTTP/2
	http2Conns *handover
	open       sync.Map // functions to call when HTTP/2 connections have ended
	handshakes sync.WaitGroup
	failures   atomic.Uint64  // of handshakes
	streams    sync.WaitGroup // requests of HTTP/2 in flight
	http3      *http3Server   // nil: none
	altSvc     func() []string
}

func newHTTPS(l *config.Listener, d *Daemon, sh *shared) (server, error) {
	h := newBothVersions(newWeb(l.Name, &l.HTTPS.Web, d, sh), d)
	h.tls, h.secure = d.TLS, true
	if l.HTTPS.HTTP3 {
		h.http3 = newHTTP3(h)
		h.altSvc = sh.altSvc
		h.http1.AltSvc = sh.altSvc
	}
	return h, nil
}

// newBothVersions returns a listener of HTTP/1 and HTTP/2 that has no TLS yet.
func newBothVersions(w *web, d *Daemon) *httpsListener {
	h := &httpsListener{web: w, http2Conns: newHandover(), altSvc: func() []string { return nil }}
	h.http2 = &http.Server{
		Handler:        http.HandlerFunc(h.serveHTTP2),
		ConnContext:    h.http2Context,
		ConnState:      h.http2State,
		BaseContext:    func(net.Listener) context.Context { return d.Base },
		IdleTimeout:    h.cfg.IdleTimeout,
		MaxHeaderBytes: int(h.cfg.MaxHeader),
		// Or net/http would respond to "OPTIONS *", past the limits and the log.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          h.cfg.MaxStreams,
			MaxReadFrameSize:              maxFrame,
			MaxReceiveBufferPerStream:     maxStreamBuffer,
			MaxReceiveBufferPerConnection: maxConnBuffer,
			// The deadline of a stream doesn't end a write that the client doesn't
			// take from the connection.
			WriteByteTimeout: h.cfg.WriteTimeout,
		},
	}
	return h
}

// Bounds of what HTTP/2 clients may send before the backend reads it, in bytes. The memory
// of a frame is taken when its length is known, before any of it has come.
const (
	maxFrame        = 16 << 10 // the least that RFC 9113, section 6.5.2, allows
	maxStreamBuffer = 256 << 10
	maxConnBuffer   = 256 << 10
)

// serve implements server. It does the handshake, and hands the connection to the
// server of the protocol that the client chose.
func (l *httpsListener) serve(c net.Conn, done func()) (handedOver bool) {
	secure, err := l.handshake(c)
	if err != nil {
		l.failures.Add(1)
		l.log.Debug("TLS handshake", "client", c.RemoteAddr().String(), "error", err)
		c.Close()
		return false
	}
	switch secure.ConnectionState().NegotiatedProtocol {
	case "h2":
		return l.giveHTTP2(secure, done)
	case "http/1.1", "":
		l.http1.ServeConn(secure)
	default: // an authority's challenge (RFC 8737), which the handshake has met
		secure.Close()
	}
	return false
}

// giveHTTP2 hands a connection to the server of HTTP/2.
func (l *httpsListener) giveHTTP2(c net.Conn, done func()) (handedOver bool) {
	l.serving.Do(func() { go l.http2.Serve(l.http2Conns) })
	l.open.Store(c, done)
	if l.http2Conns.give(c) {
		return true
	}
	l.open.Delete(c)
	c.Close()
	return false
}

// http2State notes the end of an HTTP/2 connection.
func (l *httpsListener) http2State(c net.Conn, state http.ConnState) {
	if state != http.StateClosed {
		return
	}
	if done, ok := l.open.LoadAndDelete(c); ok {
		done.(func())()
	}
}

func (l *httpsListener) handshake(c net.Conn) (*tls.Conn, error) {
	l.handshakes.Add(1)
	defer l.handshakes.Done()
	unread := l.newUnread(addrPort(c.RemoteAddr()))
	if !unread.Take(handshakeMemory) {
		return nil, errHTTPMemory
	}
	defer unread.Give(handshakeMemory)
	ctx, cancel := context.WithTimeout(l.stopping, l.cfg.HeaderTimeout)
	defer cancel()
	secure := tls.Server(c, l.tls)
	c.SetDeadline(time.Now().Add(l.cfg.HeaderTimeout))
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secure, c.SetDeadline(time.Time{})
}

// status implements server.
func (l *httpsListener) status() Status { return Status{TLSFailures: l.failures.Load()} }

// drain implements server.
func (l *httpsListener) drain() {
	l.http1.Drain()
	l.http3.drain()
	go func() {
		l.handshakes.Wait()
		l.http2.Shutdown(l.stopping) // asks clients for no more streams (RFC 9113, section 6.8)
	}()
}

// shutdown implements server. It ends tunnels: nobody knows when they would end by
// themselves.
func (l *httpsListener) shutdown(ctx context.Context) error {
	l.stop()
	l.handshakes.Wait()
	l.http2Conns.Close()
	var first, second, third error
	var wg sync.WaitGroup
	wg.Go(func() { first = l.http1.Shutdown(ctx) })
	wg.Go(func() { third = l.http3.shutdown(ctx) })
	wg.Go(func() {
		if second = l.http2.Shutdown(ctx); second != nil {
			l.http2.Close()
		}
		l.streams.Wait()
	})
	wg.Wait()
	return cmp.Or(first, second, third)
}

// handover is a net.Listener of connections that were accepted elsewhere.
type handover struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newHandover() *handover {
	return &handover{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// give hands a connection over, and reports false if nobody takes it any more.
func (h *handover) give(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.closed:
		return false
	}
}

// Accept implements net.Listener.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr implements net.Listener.
func (h *handover) Addr() net.Addr { return nil }
