package listener

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"mkd/config"
	"mkd/proxy/http1"
	"mkd/proxy/httpmsg"
	"mkd/proxy/request"
	"mkd/share"
)

// web is what HTTP and HTTPS listeners have in common: the requests of HTTP/1
// connections.
type web struct {
	name   string
	cfg    *config.Web
	daemon *Daemon
	log    *slog.Logger
	secure bool

	http1    *http1.Server
	requests *share.Pool // in flight
	clients  ClientRules // nil: clients aren't asked for a certificate

	stopping context.Context // ends when the server shuts down
	stop     context.CancelFunc
}

func newWeb(name string, cfg *config.Web, d *Daemon, sh *shared) *web {
	l := &web{name: name, cfg: cfg, daemon: d, log: d.Logs.Peers(name), requests: sh.requests, clients: d.Clients}
	l.stopping, l.stop = context.WithCancel(context.Background())
	l.http1 = &http1.Server{
		NewHandler:    l.newConn,
		BaseContext:   d.Base,
		HeaderTimeout: cfg.HeaderTimeout,
		BodyTimeout:   cfg.BodyTimeout,
		MinRate:       int64(cfg.MinRate),
		WriteTimeout:  cfg.WriteTimeout,
		IdleTimeout:   cfg.IdleTimeout,
		Limits:        httpmsg.Limits{Head: int(cfg.MaxHeader), Fields: cfg.MaxFields},
		Logger:        l.log,
	}
	return l
}

// join returns the client of a connection, as it is counted for requests in
// flight.
func (l *web) join(remote netip.AddrPort) *share.Client {
	return l.requests.Join(l.counted(remote))
}

// counted returns the address that a connection is counted for: none for a trusted
// proxy, which speaks for many clients.
func (l *web) counted(remote netip.AddrPort) netip.Addr {
	if share.Contains(l.daemon.Trusted, remote.Addr()) {
		return netip.Addr{}
	}
	return remote.Addr()
}

// errRequests is for a request that arrives when as many as allowed are in flight.
var errRequests error = &request.Error{Kind: request.Busy, Err: errors.New("the listener's max_requests, or this client's share of it, are in flight")}

// handle has a request of a connection handled. It is refused unless it is counted as in
// flight. linger, if not nil, is called after a response to a request that is.
func (l *web) handle(w request.Response, r *request.Request, p *peer, counted bool, refused error, linger func()) (err error) {
	r.Local, r.Remote, r.Client, r.Cert = p.local, p.remote, p.remote, p.cert
	if refused == nil && l.misdirected(p, r.Request.Host) {
		refused = request.ErrMisdirected
	}
	if !counted && refused == nil {
		refused = errRequests
	}
	if counted && linger != nil {
		defer func() {
			if err == nil {
				linger()
			}
		}()
	}
	defer r.Leave()
	r.Listener, r.Secure, r.Stopping = l.name, l.secure, l.stopping
	r.CountBody()
	return r.Handle(w, refused)
}

// httpConn handles the requests of an HTTP/1 connection. It is used again for
// each of them.
type httpConn struct {
	web     *web
	client  *share.Client
	peer    peer
	unread  *unread
	request request.Request
}

func (l *web) newConn(c net.Conn) http1.Handler {
	h := &httpConn{web: l, peer: l.peerOf(c)}
	h.client, h.unread = l.join(h.peer.remote), l.newUnread(h.peer.remote)
	return h
}

// TakeMemory implements http1.Handler.
func (c *httpConn) TakeMemory(n int64) bool { return c.unread.Take(n) }

// GiveMemory implements http1.Handler.
func (c *httpConn) GiveMemory(n int64) { c.unread.Give(n) }

// Context implements http1.Handler.
func (c *httpConn) Context(parent context.Context) context.Context {
	return c.request.Open(parent, c.web.daemon.Base)
}

// Close implements http1.Handler.
func (c *httpConn) Close() { c.client.Leave() }

// ServeHTTP1 implements http1.Handler.
func (c *httpConn) ServeHTTP1(w *http1.Response, h *http.Request, refused error) error {
	l := c.web
	if challenge := l.daemon.Challenge; challenge != nil && !l.secure && refused == nil && strings.HasPrefix(h.URL.Path, acmePath) {
		var err error
		challenge(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { err = c.handle(w, h, nil) })).ServeHTTP(w, h)
		return err
	}
	return c.handle(w, h, refused)
}

// acmePath is where an authority looks for the response to its challenge (RFC
// 8555, section 8.3).
const acmePath = "/.well-known/acme-challenge/"

func (c *httpConn) handle(w *http1.Response, h *http.Request, refused error) error {
	r := &c.request
	r.Begin(h, c.web.daemon.Enter())
	counted := c.client.Take(1, 0)
	if counted {
		defer c.client.Give(1)
	}
	return c.web.handle(w, r, &c.peer, counted, refused, nil) // package http1 lingers
}

// httpListener serves plain HTTP/1.
type httpListener struct{ *web }

func newHTTP(l *config.Listener, d *Daemon, sh *shared) (server, error) {
	if l.HTTP.H2C {
		return newCleartext(l, d, sh), nil
	}
	return &httpListener{newWeb(l.Name, &l.HTTP.Web, d, sh)}, nil
}

// serve implements server.
func (l *httpListener) serve(c net.Conn, _ func()) bool {
	l.http1.ServeConn(c)
	return false
}

// status implements server.
func (l *httpListener) status() Status { return Status{} }

// drain implements server.
func (l *httpListener) drain() { l.http1.Drain() }

// shutdown implements server. It ends tunnels: nobody knows when they would end by
// themselves.
func (l *httpListener) shutdown(ctx context.Context) error {
	l.stop()
	return l.http1.Shutdown(ctx)
}
