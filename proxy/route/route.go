package route

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"

	"mkd/config"
	"mkd/proxy/forward"
	"mkd/proxy/logs"
	"mkd/proxy/request"
	"mkd/proxy/tally"
)

// Routes are the routes of a configuration.
type Routes struct {
	cfg     *config.Config
	all     []*route
	clients *forward.Clients
	logs    *logs.Logs
	tally   *tally.Tally
}

// route is one of the configuration's.
type route struct {
	cfg     *config.Route
	name    string // in logs: its name, or its place in the configuration
	target  string // in logs: the backend's name, redirect or respond
	backend request.Backend
	match   match

	limit    *rateLimit     // nil: none
	inFlight *inFlight      // nil: no limit
	request  *headerChanges // nil: none
	response *headerChanges
}

// New returns the routes of a configuration. backend returns a backend by its
// name. Requests are counted in t.
func New(cfg *config.Config, backend func(name string) request.Backend, l *logs.Logs, t *tally.Tally, old *Routes) *Routes {
	rs := &Routes{
		cfg:     cfg,
		clients: &forward.Clients{Trusted: networks(cfg.TrustedProxies), Field: http.CanonicalHeaderKey(cfg.ClientIPField)},
		logs:    l,
		tally:   t,
	}
	for i := range cfg.Routes {
		c := &cfg.Routes[i]
		r := &route{
			cfg:      c,
			name:     cmp.Or(c.Name, fmt.Sprintf("routes[%d]", i)),
			match:    newMatch(&c.Match),
			request:  newHeaderChanges(&c.Headers.Request),
			response: newHeaderChanges(&c.Headers.Response),
		}
		if c.RateLimit != nil {
			r.limit = old.takeLimit(c)
		}
		if c.MaxInFlight > 0 {
			r.inFlight = &inFlight{most: int64(c.MaxInFlight)}
		}
		switch {
		case c.Redirect != nil:
			r.target, r.backend = "redirect", &redirect{c.Redirect.To, c.Redirect.Status}
		case c.Respond != nil:
			r.target, r.backend = "respond", &respond{c.Respond.Status, c.Respond.Body}
		default:
			r.target, r.backend = c.Backend, backend(c.Backend)
		}
		rs.all = append(rs.all, r)
	}
	return rs
}

// Has reports whether there is a route of a name with a backend.
func (rs *Routes) Has(name, backend string) bool {
	return slices.ContainsFunc(rs.all, func(r *route) bool { return r.name == name && r.target == backend })
}

// listed is a route of a listener.
type listed struct {
	*route
	raw   bool // whether it takes raw messages
	http  bool // whether it takes HTTP requests
	tally *tally.Requests
}

// Handler returns the handler of a listener.
func (rs *Routes) Handler(l *config.Listener) *Handler {
	h := &Handler{clients: rs.clients, logs: rs.logs, failures: rs.tally, unmatched: rs.tally.Requests(tally.Name{Listener: l.Name})}
	for _, r := range rs.all {
		of := listed{route: r, raw: r.cfg.Takes(l.Name, config.PayloadRaw), http: r.cfg.Takes(l.Name, config.PayloadHTTP)}
		if of.raw || of.http {
			of.tally = rs.tally.Requests(tally.Name{Listener: l.Name, Route: r.name, Backend: r.target})
			h.routes = append(h.routes, of)
		}
	}
	if l.HTTP != nil && l.HTTP.RedirectHTTPS {
		h.redirect = toHTTPS(httpsPort(rs.cfg))
	}
	return h
}

// httpsPort returns the port of the first HTTPS listener, 443 if there is none or
// if it isn't known yet.
func httpsPort(cfg *config.Config) int {
	for i := range cfg.Listeners {
		if l := cfg.Listeners[i].HTTPS; l != nil {
			_, port, _ := net.SplitHostPort(l.Address)
			if n, err := strconv.Atoi(port); err == nil && n > 0 {
				return n
			}
			break
		}
	}
	return 443
}

// serve applies the route's options to a request, and has the backend respond.
func (rt *route) serve(w request.Response, r *request.Request) error {
	r.Record.Route, r.Record.Backend = rt.name, rt.target
	r.Timeout, r.EncodedSlashes = rt.cfg.Timeout, rt.cfg.EncodedSlashes
	if rt.response != nil {
		w.ChangeHeader(rt.response.apply)
		r.Overridden = rt.response.overridden
	}
	if rt.limit != nil {
		if err := rt.limit.take(r); err != nil {
			return err
		}
	}
	if rt.inFlight != nil {
		if err := rt.inFlight.take(); err != nil {
			return err
		}
		defer rt.inFlight.release()
	}
	if r.Raw {
		if err := requestOfRaw(r, rt.cfg.Raw); err != nil {
			return err
		}
	}
	if rt.cfg.MaxBody > 0 {
		if err := r.LimitBody(int64(rt.cfg.MaxBody)); err != nil {
			return err
		}
	}
	gzip := rt.cfg.Compress && forward.TakesGzip(r.Header) // before the backend's view of it
	rt.rewrite(r)
	r.StartTimeout()
	if rt.cfg.Compress {
		return forward.Compress(w, r, rt.backend, gzip)
	}
	return rt.backend.Serve(w, r)
}
