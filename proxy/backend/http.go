package backend

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"mkd/config"
	"mkd/proxy/balance"
	"mkd/proxy/certs"
	"mkd/proxy/forward"
	"mkd/proxy/httpmsg"
	"mkd/proxy/request"
	"mkd/proxy/roundtrip"
	"mkd/proxy/upstream"
)

// httpBackend forwards requests to HTTP servers.
type httpBackend struct {
	forward.Forwarder
	cfg      *config.HTTPBackend
	balancer *balance.Balancer
	servers  map[*balance.Upstream]*server
	sticky   *sticky // nil: clients don't keep their server
}

// server is one of the HTTP servers of a backend.
type server struct {
	*upstream.Transport
	http2    *upstream.HTTP2 // in its place; nil: the server speaks HTTP/1
	host     string          // of its URL
	override bool            // whether it sees that instead of what the client asked for
	proxy    byte            // the version of the PROXY protocol; 0: none
}

func newHTTP(b *config.Backend, d Daemon) (Backend, error) {
	c := b.HTTP
	trust, err := upstreamTLS(&c.TLS)
	if err != nil {
		return nil, err
	}
	h := &httpBackend{cfg: c, servers: make(map[*balance.Upstream]*server)}
	h.balancer = newBalancer(&c.Balance, c.Health, d.Logger)
	for i := range c.Upstreams {
		s := newServer(c, c.Upstreams[i].URL, trust)
		u := &balance.Upstream{Name: c.Upstreams[i].URL, Weight: c.Upstreams[i].Weight, Backup: c.Upstreams[i].Backup, Transport: s.Transport, Active: s.Active}
		if s.http2 != nil {
			u.Transport, u.Active = s.http2, s.http2.Active
		}
		h.servers[u] = s
		if c.Health != nil {
			u.Check = func(ctx context.Context) error { return s.check(ctx, c.Health) }
		}
		h.balancer.Upstreams = append(h.balancer.Upstreams, u)
	}
	if h.sticky, err = newSticky(c.Sticky, d.Secret, h.balancer.Upstreams); err != nil {
		return nil, err
	}
	h.Forwarder = forward.Forwarder{Spool: d.Spool, Upgrade: true, Logger: d.Logger, Rewrite: h.rewrite, SendFile: forward.NewSendFile(c.SendFile)}
	if c.Buffer {
		h.Relay = d.Spool
	} else if config.SpeaksHTTP2(c.Upstreams[0].URL) {
		h.Forwarder.Spool = nil // a client of gRPC may await the server before it sends anything
	}
	h.Upgrade = !config.SpeaksHTTP2(c.Upstreams[0].URL)
	return h, nil
}

// httpFiles returns the files that newHTTP reads.
func httpFiles(b *config.Backend) map[string]string {
	files := map[string]string{"tls.ca": b.HTTP.TLS.CA, "tls.cert": b.HTTP.TLS.Cert, "tls.key": b.HTTP.TLS.Key}
	if b.HTTP.Sticky != nil {
		files["sticky.secret_file"] = b.HTTP.Sticky.SecretFile
	}
	return files
}

// rewrite changes the header of a response for the client.
func (h *httpBackend) rewrite(r *request.Request, header http.Header) {
	h.hideUpstream(r, header)
	if h.sticky != nil {
		h.sticky.remember(r, header)
	}
}

// hideUpstream makes the header of a response lead to mkd where it leads to the
// upstream.
func (h *httpBackend) hideUpstream(r *request.Request, header http.Header) {
	if !revealing(header, h.cfg.RewriteCookies) {
		return
	}
	in := &inside{asked: r.Asked, prefix: httpmsg.EscapeMatched(r.Prefix), upstream: upstreamOf(r.Record.Upstream), seen: parseHostPort(r.Request.Host)}
	if r.Request.Host == "" || h.cfg.Host == "upstream" && !r.HostSet {
		if in.seen = in.upstream; in.upstream == (hostPort{}) {
			in.seen.host = "localhost" // of a socket
		}
	}
	in.header(header, h.cfg.RewriteCookies)
}

func newServer(c *config.HTTPBackend, address string, trust *tls.Config) *server {
	t := &upstream.Transport{
		DialTimeout:     c.DialTimeout,
		ResponseTimeout: c.ResponseTimeout,
		ReadTimeout:     c.ReadTimeout,
		IdleTimeout:     c.IdleTimeout,
		MaxConnections:  c.MaxConnections,
		Queue:           c.Queue,
		QueueTimeout:    c.QueueTimeout,
	}
	s := &server{Transport: t, override: c.Host == "upstream", proxy: proxyVersion(c.ProxyProtocol)}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		t.Network, t.Address, s.host = "unix", path, "localhost"
		return s
	}
	u, _ := url.Parse(address) // checked with the configuration
	s.host = u.Host
	port := u.Port()
	if u.Scheme == "https" || u.Scheme == "h2" {
		t.TLS = trust
	}
	if port == "" {
		port = defaultPort(u.Scheme)
	}
	t.Network, t.Address = "tcp", net.JoinHostPort(u.Hostname(), port)
	if _, err := netip.ParseAddr(u.Hostname()); err != nil {
		t.Resolve = c.ResolveInterval
	}
	if config.SpeaksHTTP2(address) {
		s.http2 = &upstream.HTTP2{Address: t.Address, TLS: t.TLS, Resolve: t.Resolve, DialTimeout: c.DialTimeout, ResponseTimeout: c.ResponseTimeout, ReadTimeout: c.ReadTimeout, IdleTimeout: c.IdleTimeout}
	}
	return s
}

func upstreamTLS(c *config.UpstreamTLS) (*tls.Config, error) {
	cfg := &tls.Config{ServerName: c.ServerName, InsecureSkipVerify: c.Insecure, MinVersion: tls.VersionTLS12, CipherSuites: certs.AEADSuites()}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("reading tls.ca: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca: there is no PEM certificate in %s", c.CA)
		}
	}
	if c.Cert != "" {
		own, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("tls.cert %s and tls.key %s: %w", c.Cert, c.Key, err)
		}
		cfg.Certificates = []tls.Certificate{own}
	}
	return cfg, nil
}

func policy(by string) balance.Policy {
	switch by {
	case "least_conn":
		return balance.LeastConn
	case "random_two":
		return balance.RandomTwo
	case "ip_hash", "header":
		return balance.Hash
	}
	return balance.RoundRobin
}

// check asks a server whether it is well.
func (s *server) check(ctx context.Context, c *config.Health) error {
	u, err := url.ParseRequestURI(c.Path)
	if err != nil {
		return err
	}
	u.Host = s.host
	return checkHealth(ctx, s, u, c)
}

// Start implements Backend.
func (h *httpBackend) Start(ctx context.Context) error {
	h.balancer.Start(context.WithoutCancel(ctx)) // until shutdown
	return nil
}

// Shutdown implements Backend.
func (h *httpBackend) Shutdown(context.Context) error {
	h.balancer.Close()
	for _, s := range h.servers {
		s.CloseIdleConnections()
		if s.http2 != nil {
			s.http2.CloseIdleConnections()
		}
	}
	h.SendFile.Close()
	return nil
}

// Upstreams implements Balanced.
func (h *httpBackend) Upstreams() (all []Upstream) {
	for i, st := range h.balancer.Status() {
		all = append(all, Upstream{st, h.servers[h.balancer.Upstreams[i]].Waiting()})
	}
	return all
}

// Prepare implements request.Preparer.
func (h *httpBackend) Prepare(r *request.Request) {
	forward.SetForwarded(r)
	forward.SetRequestID(r)
}

// Send implements forward.Origin.
func (h *httpBackend) Send(r *request.Request, out *http.Request, header http.Header, e roundtrip.Events) (*http.Response, error) {
	wish := balance.Wish{Key: keyOf(&h.cfg.Balance, r)}
	if h.sticky != nil {
		wish.Upstream = h.sticky.wished(out)
	}
	return h.balancer.DoFor(out, wish, func(u *balance.Upstream, out *http.Request) (*http.Response, error) {
		r.Record.Upstream = u.Name
		s := h.servers[u]
		if out.Host == "" || s.override && !r.HostSet {
			copied := *out
			copied.Host = s.host
			out = &copied
		}
		return s.send(r, out, header, e)
	})
}

// Serve implements request.Backend.
func (h *httpBackend) Serve(w request.Response, r *request.Request) error {
	if h.cfg.Buffer {
		body, err := h.Spool.Receive(r)
		if err != nil {
			return err
		}
		defer body.Close()
	}
	err := balanceError(h.Forward(w, r, h))
	if err != nil && w.Status() == 0 && isGRPC(r.Request) {
		r.Record.Err = err
		respondGRPC(w, r, err)
		return nil
	}
	return err
}
