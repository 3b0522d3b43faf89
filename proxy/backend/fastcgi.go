package backend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"mkd/config"
	"mkd/php/cgi"
	"mkd/proxy/balance"
	"mkd/proxy/fastcgi"
	"mkd/proxy/forward"
	"mkd/proxy/request"
	"mkd/proxy/roundtrip"
	"mkd/proxy/site"
)

// fastcgiBackend has a FastCGI server run the scripts of a site, and serves its
// files.
type fastcgiBackend struct {
	forward.Forwarder
	cfg      *config.FastCGI
	log      *slog.Logger
	balancer *balance.Balancer
	servers  map[*balance.Upstream]*fastcgi.Transport
	spawned  *cgi.Server // nil: none
	scripts  *site.Scripts
	sendFile *forward.SendFile // nil: none
	constant *fastcgi.Constant
	spool    *forward.Spool
}

func newFastCGI(b *config.Backend, d Daemon) (Backend, error) {
	c := b.FastCGI
	f := &fastcgiBackend{servers: make(map[*balance.Upstream]*fastcgi.Transport), cfg: c, log: d.Logger, spool: d.Spool}
	f.scripts = &site.Scripts{
		Files:     &site.Files{Root: c.Root, CacheControl: c.CacheControl, Charset: c.Charset, Types: c.Types, Hide: c.Hide},
		Index:     c.Index,
		SplitPath: c.SplitPath,
		Try:       c.Try,
		PHPRoot:   c.ServerRoot,
	}
	if err := errors.Join(f.scripts.Files.Check(), f.scripts.Check()); err != nil {
		return nil, err
	}
	f.sendFile = forward.NewSendFile(c.SendFile)
	var env []fastcgi.Param
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		env = append(env, fastcgi.Param{Name: name, Value: c.Env[name]})
	}
	var err error
	if f.constant, err = fastcgi.SiteConstant(env...); err != nil {
		return nil, fmt.Errorf("env: %w", err)
	}
	addresses := c.Addresses
	if c.Spawn != nil {
		spawned, err := newSpawned(c.Spawn, d.Logger)
		if err != nil {
			return nil, err
		}
		f.spawned = spawned
		addresses = []string{"unix:" + spawned.Address()}
	}
	f.balancer = newBalancer(&c.Balance, c.Health, d.Logger)
	for _, address := range addresses {
		t := f.newServer(address)
		u := &balance.Upstream{Name: address, Weight: 1, Transport: t}
		f.servers[u] = t
		if c.Health != nil {
			u.Check = func(ctx context.Context) error { return f.check(ctx, t) }
		}
		f.balancer.Upstreams = append(f.balancer.Upstreams, u)
	}
	f.Forwarder = forward.Forwarder{Spool: d.Spool, Relay: d.Spool, SendFile: f.sendFile, Logger: d.Logger}
	return f, nil
}

func newSpawned(c *config.Spawn, log *slog.Logger) (*cgi.Server, error) {
	return cgi.New(cgi.Options{
		Command:     c.Command,
		Workers:     c.Workers,
		MaxRequests: c.MaxRequests,
		Ini:         c.Ini,
		Env:         c.Env,
		User:        c.User,
		Group:       c.Group,
		ClearEnv:    !c.InheritEnv,
		Sandbox:     c.Sandbox,
		Linger:      c.Linger,
		Logger:      log,
	})
}

func (f *fastcgiBackend) newServer(address string) *fastcgi.Transport {
	t := &fastcgi.Transport{
		Network:         "tcp",
		Address:         address,
		DialTimeout:     f.cfg.DialTimeout,
		ResponseTimeout: f.cfg.ResponseTimeout,
		ReadTimeout:     f.cfg.ReadTimeout,
		KeepAlive:       f.cfg.KeepAlive,
		IdleTimeout:     f.cfg.IdleTimeout,
		Call:            healthCall,
	}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		t.Network, t.Address = "unix", path
	}
	return t
}

// healthCall returns the call of a health check.
func healthCall(h *http.Request) *fastcgi.Call {
	s := fastcgi.Script{Name: h.URL.Path, Filename: h.URL.Path}
	return &fastcgi.Call{Params: func(p *fastcgi.Params) error { s.AddParams(p, h); return nil }}
}

// script is the Origin of a request: the script that it is for.
type script struct {
	*fastcgiBackend
	site.Found
}

// Send implements forward.Origin.
func (s *script) Send(r *request.Request, out *http.Request, h http.Header, e roundtrip.Events) (*http.Response, error) {
	params := fastcgi.Script{
		Filename:     s.Filename,
		Name:         r.Prefix + s.Name, // so that applications make links that lead back here
		PathInfo:     s.PathInfo,
		DocumentRoot: s.DocumentRoot,
		RequestURI:   r.AskedURI(),
		ServerAddr:   r.Local,
		RemoteAddr:   r.Client,
		HTTPS:        r.Secure,
		Key:          r.Key,
		Constant:     s.constant,
	}
	if c := r.Cert; c != nil {
		params.TLS = clientCertParams(c)
	}
	if r.Session != nil {
		params.Session = r.Session.String()
	}
	return s.balancer.DoFor(out, balance.Wish{Key: keyOf(&s.cfg.Balance, r)}, func(u *balance.Upstream, out *http.Request) (*http.Response, error) {
		r.Record.Upstream = u.Name
		return s.servers[u].Do(out, &fastcgi.Call{
			Params: func(p *fastcgi.Params) error { params.AddParams(p, out); return nil },
			Stderr: func(line string) { forward.RequestLog(s.log, r).Warn("output of the script", "text", line) },
			Header: h,
			Events: e,
		})
	})
}

// clientCertParams returns the certificate of a client by the names of Apache's mod_ssl.
func clientCertParams(c *request.ClientCert) []fastcgi.Param {
	params := []fastcgi.Param{{Name: "SSL_CLIENT_VERIFY", Value: c.Result()}}
	if c.Verified() {
		params = append(params, fastcgi.Param{Name: "SSL_CLIENT_S_DN", Value: c.Subject}, fastcgi.Param{Name: "SSL_CLIENT_I_DN", Value: c.Issuer},
			fastcgi.Param{Name: "SSL_CLIENT_M_SERIAL", Value: c.Serial}, fastcgi.Param{Name: "SSL_CLIENT_FINGERPRINT", Value: c.Fingerprint})
	}
	return params
}

// check asks a server for its ping.path.
func (f *fastcgiBackend) check(ctx context.Context, t *fastcgi.Transport) error {
	u, err := url.ParseRequestURI(f.cfg.Health.Path)
	if err != nil {
		return err
	}
	err = checkHealth(ctx, t, u, f.cfg.Health)
	if e := (*roundtrip.Error)(nil); len(f.servers) == 1 && errors.As(err, &e) && e.Sent && e.Timeout() {
		return nil // all its workers are busy; there is nobody else to ask
	}
	return err
}

// Start implements Backend.
func (f *fastcgiBackend) Start(ctx context.Context) error {
	if f.spawned != nil {
		if err := f.spawned.Start(ctx); err != nil {
			return err
		}
	}
	f.balancer.Start(context.WithoutCancel(ctx)) // until shutdown
	return nil
}

// Upstreams implements Balanced.
func (f *fastcgiBackend) Upstreams() (all []Upstream) {
	for _, st := range f.balancer.Status() {
		all = append(all, Upstream{Status: st})
	}
	return all
}

// Spawned implements Spawner.
func (f *fastcgiBackend) Spawned() *cgi.Status {
	if f.spawned == nil {
		return nil
	}
	st := f.spawned.Status()
	return &st
}

// Shutdown implements Backend.
func (f *fastcgiBackend) Shutdown(ctx context.Context) error {
	f.balancer.Close()
	for _, t := range f.servers {
		t.CloseIdleConnections()
	}
	f.scripts.Files.Close()
	f.sendFile.Close()
	if f.spawned != nil {
		return f.spawned.Shutdown(ctx)
	}
	return nil
}

// Prepare implements request.Preparer.
func (f *fastcgiBackend) Prepare(r *request.Request) { forward.SetRequestID(r) }

// Serve implements request.Backend.
func (f *fastcgiBackend) Serve(w request.Response, r *request.Request) error {
	find := f.scripts.Find
	if r.EncodedSlashes {
		find = f.scripts.FindEncoded
	}
	found, err := find(r.URL)
	switch {
	case err != nil:
		return forward.SiteError(err)
	case found.Redirect != "":
		site.Redirect(w, r.Request, r.AskedFor())
		return nil
	case found.File != "":
		return forward.SiteError(f.scripts.Files.ServeFile(w, r.Request, found.File))
	}
	if !f.cfg.StreamBody {
		body, err := f.spool.Receive(r)
		if err != nil {
			return err
		}
		defer body.Close()
	}
	return f.kind(f.Forward(w, r, &script{f, found}))
}

// kind gives an error of package fastcgi or balance its kind.
func (f *fastcgiBackend) kind(err error) error {
	if errors.Is(err, fastcgi.ErrLengthRequired) {
		return &request.Error{Kind: request.NoLength, Err: err}
	}
	return balanceError(explainSocket(err))
}
