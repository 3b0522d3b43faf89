package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"mkd/config"
	"mkd/proxy/balance"
	"mkd/proxy/certs"
	"mkd/proxy/logs"
	"mkd/proxy/upstream"
)

// httpBackend has HTTP servers answer.
type httpBackend struct {
	forwarder
	balancer *balance.Balancer
	servers  []*server
}

// server is one of the HTTP servers of a backend.
type server struct {
	*upstream.Transport
	host     string // of its URL
	override bool   // whether it sees that instead of what the client asked for
}

// RoundTrip implements http.RoundTripper.
func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	if x := exchangeOf(r.Context()); r.Host == "" || s.override && (x == nil || !x.hostSet) {
		copied := *r
		copied.Host = s.host
		r = &copied
	}
	return s.Transport.RoundTrip(r)
}

func newHTTPBackend(b *config.Backend, logs *logs.Logs) (*httpBackend, error) {
	c := b.HTTP
	trust, err := upstreamTLS(&c.TLS)
	if err != nil {
		return nil, err
	}
	h := new(httpBackend)
	h.balancer = newBalancer(&c.Balance, c.Health, logs.Backend(b.Name))
	for i := range c.Upstreams {
		s := newServer(c, c.Upstreams[i].URL, trust)
		s.Excess = excessLog(logs, b.Name)
		h.servers = append(h.servers, s)
		u := &balance.Upstream{Name: c.Upstreams[i].URL, Weight: c.Upstreams[i].Weight, Transport: s, Active: s.Active}
		if c.Health != nil {
			u.Check = func(ctx context.Context) error { return s.check(ctx, c.Health) }
		}
		h.balancer.Upstreams = append(h.balancer.Upstreams, u)
	}
	h.forwarder = forwarder{origin: h.balancer, upgrade: true, rewrite: func(x *exchange, r *http.Request, header http.Header) {
		in := &inside{asked: x.asked, prefix: x.prefix, upstream: upstreamOf(x.upstream), seen: parseHostPort(r.Host)}
		if r.Host == "" || c.Host == "upstream" && !x.hostSet {
			if in.seen = in.upstream; in.upstream == (hostPort{}) {
				in.seen.host = "localhost" // of a socket
			}
		}
		in.header(header, c.RewriteCookies)
	}}
	return h, nil
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
	s := &server{Transport: t, override: c.Host == "upstream"}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		t.Network, t.Address, s.host = "unix", path, "localhost"
		return s
	}
	u, _ := url.Parse(address) // checked with the configuration
	s.host = u.Host
	port := u.Port()
	if u.Scheme == "https" {
		t.TLS = trust
	}
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	t.Network, t.Address = "tcp", net.JoinHostPort(u.Hostname(), port)
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
	return cfg, nil
}

func policy(by string) balance.Policy {
	switch by {
	case "least_conn":
		return balance.LeastConn
	case "random_two":
		return balance.RandomTwo
	}
	return balance.RoundRobin
}

// picked notes for the access log which upstream a request went to.
func picked(r *http.Request, u *balance.Upstream) {
	if x := exchangeOf(r.Context()); x != nil {
		x.upstream = u.Name
	}
}

// check asks a server whether it is well.
func (s *server) check(ctx context.Context, c *config.Health) error {
	u, err := url.ParseRequestURI(c.Path)
	if err != nil {
		return err
	}
	u.Host = s.host
	return checkHealth(ctx, s.Transport, u, c)
}

func (h *httpBackend) start(ctx context.Context) error {
	h.balancer.Start(context.WithoutCancel(ctx)) // until shutdown
	return nil
}

func (h *httpBackend) shutdown(context.Context) error {
	h.balancer.Close()
	for _, s := range h.servers {
		s.CloseIdleConnections()
	}
	return nil
}

// prepare implements preparer.
func (h *httpBackend) prepare(x *exchange, r *http.Request) { setForwarded(x, r) }

func (h *httpBackend) serve(x *exchange, w http.ResponseWriter, r *http.Request) error {
	return h.forward(x, w, r)
}
