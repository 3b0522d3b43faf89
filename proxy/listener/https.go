package listener

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"mkd/config"
)

// httpsListener is a listener for HTTP over TLS. The client chooses HTTP/1.1 or
// HTTP/2 in the handshake (RFC 7301).
type httpsListener struct {
	*web
	tls        *tls.Config
	http2      *http.Server
	http2Conns *handover
	handshakes sync.WaitGroup
	streams    sync.WaitGroup // requests of HTTP/2 in flight
}

func newHTTPS(l *config.Listener, d *Daemon) (Listener, error) {
	h := &httpsListener{web: newWeb(l.Name, l.HTTPS.Address, &l.HTTPS.Web, d), tls: d.TLS}
	h.secure = true
	for _, protocol := range []string{"h2", "http/1.1"} {
		if !slices.Contains(h.tls.NextProtos, protocol) {
			h.tls.NextProtos = append(h.tls.NextProtos, protocol)
		}
	}
	h.http2Conns = newHandover()
	h.http2 = &http.Server{
		Handler:        http.HandlerFunc(h.serveHTTP2),
		ConnContext:    h.http2Context,
		BaseContext:    func(net.Listener) context.Context { return d.Base },
		IdleTimeout:    h.cfg.IdleTimeout,
		MaxHeaderBytes: int(h.cfg.MaxHeader),
		ErrorLog:       slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          h.cfg.MaxStreams,
			MaxReceiveBufferPerStream:     maxStreamBuffer,
			MaxReceiveBufferPerConnection: maxConnBuffer,
			// The deadline of a stream doesn't end a write that the client doesn't
			// take from the connection.
			WriteByteTimeout: h.cfg.WriteTimeout,
		},
	}
	return h, nil
}

// Bounds of what HTTP/2 clients may send ahead of the backend, in bytes.
const (
	maxStreamBuffer = 256 << 10
	maxConnBuffer   = 256 << 10
)

// Serve implements Listener.
func (l *httpsListener) Serve(socket net.Listener) error {
	l.http2Conns.addr = socket.Addr()
	done := make(chan error, 1)
	go func() { done <- l.http2.Serve(l.http2Conns) }()
	err := l.serve(socket, l.serveConn)
	l.http2Conns.Close()
	if h2 := <-done; err == nil && !errors.Is(h2, http.ErrServerClosed) && !errors.Is(h2, net.ErrClosed) {
		return h2
	}
	return err
}

// serveConn does the handshake, and hands the connection to the server of the
// protocol that the client chose.
func (l *httpsListener) serveConn(c net.Conn) {
	secure, err := l.handshake(c)
	if err != nil {
		l.log.Debug("TLS handshake", "client", c.RemoteAddr().String(), "error", err)
		c.Close()
		return
	}
	switch secure.ConnectionState().NegotiatedProtocol {
	case "h2":
		if !l.http2Conns.give(secure) {
			secure.Close()
		}
	case "http/1.1", "":
		l.http1.ServeConn(secure)
	default: // an authority's challenge (RFC 8737), which the handshake has met
		secure.Close()
	}
}

func (l *httpsListener) handshake(c net.Conn) (*tls.Conn, error) {
	l.handshakes.Add(1)
	defer l.handshakes.Done()
	ctx, cancel := context.WithTimeout(l.stopping, l.cfg.HeaderTimeout)
	defer cancel()
	secure := tls.Server(c, l.tls)
	c.SetDeadline(time.Now().Add(l.cfg.HeaderTimeout))
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secure, c.SetDeadline(time.Time{})
}

// Shutdown implements Listener.
func (l *httpsListener) Shutdown(ctx context.Context) error {
	l.close()
	l.handshakes.Wait()
	var first, second error
	var wg sync.WaitGroup
	wg.Go(func() { first = l.http1.Shutdown(ctx) })
	wg.Go(func() {
		if second = l.http2.Shutdown(ctx); second != nil {
			l.http2.Close()
		}
		l.streams.Wait()
	})
	wg.Wait()
	if first != nil {
		return first
	}
	return second
}

// handover is a net.Listener of connections that were accepted elsewhere.
type handover struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	addr   net.Addr
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
func (h *handover) Addr() net.Addr { return h.addr }
