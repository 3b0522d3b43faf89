package route

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"

	"mkd/config"
	"mkd/proxy/auth"
	"mkd/proxy/forward"
	"mkd/proxy/logs"
	"mkd/proxy/request"
	"mkd/proxy/tally"
)

// Routes are the routes of a configuration.
type Routes struct {
	cfg      *config.Config
	top      []*route // those of the file
	all      []*route // and those inside of others
	clients  *forward.Clients
	logs     *logs.Logs
	tally    *tally.Tally
	auth     *auth.State
	encoders *forward.Encoders
	pages    *pages // nil: there are none

	maintenance *atomic.Bool // of all configurations
}

// route is one of the configuration's.
type route struct {
	cfg     *config.Route
	name    string // in logs: its name, or its index in the configuration
	target  string // in logs: the backend's name, redirect or respond
	backend request.Backend
	match   *match
	outer   *route   // nil: none
	inner   []*route // if there are some, this one has no backend

	guards      []auth.Guard // those of the routes around it first
	limits      []*rateLimit // those of the routes around it first
	inFlight    []*inFlight  // likewise
	certificate bool         // the client needs one
	changes     bool         // requests, or fields that clients must not send

	request     *headerChanges // nil: none
	response    *headerChanges
	compression *forward.Compression // nil: none
	pages       *pages               // nil: those of the file
	cors        *cors                // nil: none
	rewrite     *rewrite             // nil: none
	groups      expressions          // of its path_regexp, and of those around it
	raw         *rawRequest
}

// New returns the routes of a configuration. backend returns a backend by its
// name. Requests are counted in t. Its error has all that is wrong.
func New(cfg *config.Config, backend func(name string) request.Backend, l *logs.Logs, t *tally.Tally, old *Routes) (*Routes, error) {
	rs := &Routes{
		cfg:     cfg,
		clients: &forward.Clients{Trusted: networks(cfg.TrustedProxies), Field: http.CanonicalHeaderKey(cfg.ClientIPField)},
		logs:    l,
		tally:   t,
	}
	if old != nil {
		rs.auth, rs.encoders, rs.maintenance = old.auth, old.encoders, old.maintenance
	} else {
		rs.auth, rs.encoders, rs.maintenance = auth.NewState(l.Main.Sugar().Warnf), forward.NewEncoders(), new(atomic.Bool)
	}
	rs.pages = newPages(cfg.ErrorPages, backend, l)
	b := builder{rs: rs, old: old, backend: backend}
	rs.top = b.routes(cfg.Routes, nil, "")
	return rs, errors.Join(b.errs...)
}

// builder builds the routes of a configuration.
type builder struct {
	rs, old *Routes
	backend func(name string) request.Backend
	errs    []error
}

// routes builds the routes inside of outer, which is nil for those of the file.
func (b *builder) routes(list []config.Route, outer *route, within string) (built []*route) {
	for i := range list {
		index := fmt.Sprintf("%sroutes[%d]", within, i)
		r := b.route(&list[i], outer, index)
		b.rs.all = append(b.rs.all, r)
		built = append(built, r)
		r.inner = b.routes(r.cfg.Routes, r, index+".")
	}
	return built
}

func (b *builder) route(c *config.Route, outer *route, index string) *route {
	r := &route{cfg: c, outer: outer, name: cmp.Or(c.Name, index), match: newMatch(&c.Match, guards(c))}
	around := new(route)
	if outer != nil {
		around = outer
	}
	r.certificate = around.certificate || c.ClientCertificate == "required"
	r.guards = slices.Clip(around.guards)
	if c.Auth != nil {
		g, err := auth.New(c.Auth, b.rs.auth, func(key string) string { return b.rs.cfg.Position(index + ".auth." + key) })
		if err != nil {
			b.errs = append(b.errs, err)
		}
		r.guards = append(r.guards, g)
	}
	r.limits, r.inFlight = slices.Clip(around.limits), slices.Clip(around.inFlight)
	r.groups = around.groups
	if r.match.paths != nil && r.match.paths.regexp != nil {
		r.groups = append(expressions{r.match.paths.regexp}, around.groups...)
	}
	r.request = newHeaderChanges(&c.Headers.Request, around.request, r.groups)
	r.response = newHeaderChanges(&c.Headers.Response, around.response, r.groups)
	r.cors = newCORS(c.CORS)
	r.rewrite = newRewrite(c.Rewrite, r.groups)
	r.changes = len(r.guards) > 0 || r.request != nil || r.rewrite != nil || c.StripPrefix != ""
	if r.pages = newPages(c.ErrorPages, b.backend, b.rs.logs); r.pages == nil {
		r.pages = b.rs.pages
	}
	r.compression = forward.NewCompression(c.Compress, b.rs.encoders)
	r.raw = newRawRequest(c.Raw)
	if c.RateLimit != nil {
		r.limits = append(r.limits, b.old.takeLimit(c, outer))
	}
	if c.MaxInFlight > 0 {
		r.inFlight = append(r.inFlight, newInFlight(c.MaxInFlight))
	}
	switch {
	case c.Redirect != nil:
		r.target, r.backend = "redirect", &redirect{newTemplate(c.Redirect.To, asURL, r.groups), c.Redirect.Status}
	case c.Respond != nil:
		r.target, r.backend = "respond", newRespond(c.Respond, r.groups)
	case len(c.Routes) > 0:
		r.target, r.backend = "routes", nothing{}
	default:
		r.target, r.backend = c.Backend, b.backend(c.Backend)
		if c.Fallback != "" {
			r.backend = &fallback{r.backend, b.backend(c.Fallback), c.Fallback}
		}
	}
	return r
}

// SetMaintenance has all requests, those of later configurations too, get 503 from now on,
// or no more.
func (rs *Routes) SetMaintenance(on bool) { rs.maintenance.Store(on) }

// Maintenance reports whether all requests get 503.
func (rs *Routes) Maintenance() bool { return rs.maintenance.Load() }

// Has reports whether there is a route of a name with a backend.
func (rs *Routes) Has(name, backend string) bool {
	return slices.ContainsFunc(rs.all, func(r *route) bool { return r.name == name && r.target == backend })
}

// listed is a route of a listener.
type listed struct {
	*route
	raw   bool // whether it takes raw messages
	http  bool // whether it takes HTTP requests
	trace bool // whether it, or a route around or inside it, names TRACE
	inner []listed
	tally *tally.Requests
}

// Handler returns the handler of a listener.
func (rs *Routes) Handler(l *config.Listener) *Handler {
	h := &Handler{pages: rs.pages, maintenance: rs.maintenance, clients: rs.clients, logs: rs.logs, failures: rs.tally, unmatched: rs.tally.Requests(tally.Name{Listener: l.Name})}
	h.routes = rs.list(rs.top, l.Name, false)
	if l.HTTP != nil && l.HTTP.RedirectHTTPS {
		h.redirect = toHTTPS(httpsPort(rs.cfg))
	}
	return h
}

// list returns those of the routes that a listener may have requests for. trace is
// whether a route around them names methods.
func (rs *Routes) list(routes []*route, listener string, trace bool) (list []listed) {
	for _, r := range routes {
		of := listed{route: r, raw: r.cfg.Takes(listener, config.PayloadRaw), http: r.cfg.Takes(listener, config.PayloadHTTP)}
		if !of.raw && !of.http {
			continue
		}
		of.trace = trace || len(r.match.methods) > 0
		of.inner = rs.list(r.inner, listener, of.trace)
		of.trace = of.trace || slices.ContainsFunc(of.inner, func(l listed) bool { return l.trace })
		of.tally = rs.tally.Requests(tally.Name{Listener: listener, Route: r.name, Backend: r.target})
		list = append(list, of)
	}
	return list
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

// serve applies the route's options to a request, and passes it to the backend.
func (rt *route) serve(w request.Response, r *request.Request) error {
	r.Record.Route, r.Record.Backend, r.Record.Unlisted = rt.name, rt.target, !rt.cfg.AccessLog
	r.Timeout, r.EncodedSlashes, r.Changed = rt.cfg.Timeout, rt.cfg.EncodedSlashes, rt.changes
	if rt.pages != nil {
		r.Pages = rt.pages
	}
	if rt.cors != nil && isPreflight(r) {
		return rt.cors.preflight(w, r)
	}
	rt.changeResponse(w, r)
	if rt.certificate && !r.Cert.Verified() {
		return request.ErrNoCertificate
	}
	for _, l := range rt.limits {
		if err := l.take(r); err != nil {
			return err
		}
	}
	if len(rt.guards) > 0 {
		if passed, err := rt.guard(w, r); err != nil || !passed {
			return err
		}
	}
	for _, l := range rt.inFlight {
		release, err := l.take(r)
		if err != nil {
			return err
		}
		defer release()
	}
	if r.Raw {
		rt.raw.make(r)
	}
	if rt.cfg.MaxBody > 0 {
		if err := r.LimitBody(int64(rt.cfg.MaxBody)); err != nil {
			return err
		}
	}
	coding := ""
	if rt.compression != nil {
		coding = rt.compression.Choose(r.Header) // before the backend's view of it
	}
	if err := rt.change(r); err != nil {
		return err
	}
	r.StartTimeout()
	if rt.pages != nil && rt.pages.intercept {
		return rt.pages.serve(w, func(w request.Response) error { return rt.ask(w, r, coding) })
	}
	return rt.ask(w, r, coding)
}

// guard has the guards of a route decide, one after the other.
func (rt *route) guard(w request.Response, r *request.Request) (passed bool, err error) {
	for _, g := range rt.guards {
		g.Strip(r.Header)
	}
	for _, g := range rt.guards {
		if passed, err := g.Check(w, r); err != nil || !passed {
			return false, err
		}
	}
	if rt.response != nil && rt.response.dynamic {
		rt.changeResponse(w, r) // {user} is known now
	}
	return true, nil
}

// ask passes the request to the backend.
func (rt *route) ask(w request.Response, r *request.Request, coding string) error {
	if rt.compression != nil {
		return rt.compression.Compress(w, r, rt.backend, coding)
	}
	return rt.backend.Serve(w, r)
}

// changeResponse sets what is done to the header of the response.
func (rt *route) changeResponse(w request.Response, r *request.Request) {
	changes := rt.response.expand(r)
	if changes != nil {
		r.Overridden = changes.overridden
	}
	switch {
	case rt.cors != nil && !r.Raw:
		origin := rt.cors.origin(r.Header)
		w.ChangeHeader(func(h http.Header) {
			rt.cors.set(h, origin)
			if changes != nil {
				changes.apply(h)
			}
		})
	case changes != nil:
		w.ChangeHeader(changes.apply)
	}
}
