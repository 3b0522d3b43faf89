package proxy

import (
	"context"
	"errors"
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
	"mkd/proxy/logs"
	"mkd/proxy/roundtrip"
	"mkd/proxy/site"
)

// fastcgiBackend has a FastCGI server run the scripts of a site, and serves its
// files.
type fastcgiBackend struct {
	forwarder
	cfg      *config.FastCGI
	logs     *logs.Logs
	name     string
	balancer *balance.Balancer
	servers  []*fastcgi.Transport
	spawned  *cgi.Server // nil: none
	scripts  *site.Scripts
	sendFile *sendFile // nil: none
	env      []fastcgi.Param
	spool    *spool
}

func newFastCGIBackend(b *config.Backend, sp *spool, logs *logs.Logs) (*fastcgiBackend, error) {
	c := b.FastCGI
	f := &fastcgiBackend{cfg: c, logs: logs, name: b.Name, spool: sp}
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
	f.sendFile = newSendFile(c.SendFile)
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		f.env = append(f.env, fastcgi.Param{Name: name, Value: c.Env[name]})
	}
	addresses := c.Addresses
	if c.Spawn != nil {
		spawned, err := newSpawned(c.Spawn, logs.Backend(b.Name))
		if err != nil {
			return nil, err
		}
		f.spawned = spawned
		addresses = []string{"unix:" + spawned.Address()}
	}
	f.balancer = newBalancer(&c.Balance, c.Health, logs.Backend(b.Name))
	for _, address := range addresses {
		t := f.newServer(address)
		f.servers = append(f.servers, t)
		u := &balance.Upstream{Name: address, Weight: 1, Transport: t}
		if c.Health != nil {
			u.Check = func(ctx context.Context) error { return f.check(ctx, t) }
		}
		f.balancer.Upstreams = append(f.balancer.Upstreams, u)
	}
	f.forwarder = forwarder{origin: f.balancer, ahead: sp, instead: f.sendFile.intercept}
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
		Params:          f.params,
		DialTimeout:     f.cfg.DialTimeout,
		ResponseTimeout: f.cfg.ResponseTimeout,
		ReadTimeout:     f.cfg.ReadTimeout,
		KeepAlive:       f.cfg.KeepAlive,
		IdleTimeout:     f.cfg.IdleTimeout,
		Stderr:          f.logLine,
		Excess:          excessLog(f.logs, f.name),
	}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		t.Network, t.Address = "unix", path
	}
	return t
}

// params are what the script gets to know of a request.
func (f *fastcgiBackend) params(dst []fastcgi.Param, r *http.Request) ([]fastcgi.Param, error) {
	x := exchangeOf(r.Context())
	if x == nil { // a health check
		s := fastcgi.Script{Name: r.URL.Path, Filename: r.URL.Path}
		return s.AppendParams(dst, r), nil
	}
	s := fastcgi.Script{
		Filename:     x.script.Filename,
		Name:         x.prefix + x.script.Name, // so that applications make links that lead back here
		PathInfo:     x.script.PathInfo,
		DocumentRoot: x.script.DocumentRoot,
		RequestURI:   x.requestURI(r),
		ServerAddr:   x.local,
		RemoteAddr:   x.client,
		HTTPS:        x.secure,
		Env:          f.env,
	}
	if x.session != nil {
		s.Session = x.session.String()
	}
	return s.AppendParams(dst, r), nil
}

// logLine logs what a script wrote to its error output.
func (f *fastcgiBackend) logLine(r *http.Request, line string) {
	requestLog(f.logs, f.name, r).Warn("script says", "text", line)
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

func (f *fastcgiBackend) start(ctx context.Context) error {
	if f.spawned != nil {
		if err := f.spawned.Start(ctx); err != nil {
			return err
		}
	}
	f.balancer.Start(context.WithoutCancel(ctx)) // until shutdown
	return nil
}

func (f *fastcgiBackend) shutdown(ctx context.Context) error {
	f.balancer.Close()
	for _, t := range f.servers {
		t.CloseIdleConnections()
	}
	f.scripts.Files.Close()
	f.sendFile.close()
	if f.spawned != nil {
		return f.spawned.Shutdown(ctx)
	}
	return nil
}

func (f *fastcgiBackend) serve(x *exchange, w http.ResponseWriter, r *http.Request) error {
	find := f.scripts.Find
	if x.route.cfg.EncodedSlashes {
		find = f.scripts.FindEncoded
	}
	found, err := find(r.URL)
	switch {
	case err != nil:
		return err
	case found.Redirect != "":
		site.Redirect(w, r, x.prefix+found.Redirect)
		return nil
	case found.File != "":
		return f.scripts.Files.ServeFile(w, r, found.File)
	}
	x.script = found
	if !f.cfg.StreamBody {
		body, err := f.spool.receive(r)
		if err != nil {
			return err
		}
		defer body.Close()
		x.startTimeout() // the script isn't late if the client was
	}
	return f.forward(x, w, r)
}
