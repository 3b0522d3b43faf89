package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"mkd/config"
)

// route is one of config.yaml's.
type route struct {
	cfg    *config.Route
	name   string // in logs: its name, or its place in the configuration
	target string // what answers, in logs
	action action
	match  match

	limit    *rateLimit     // nil: none
	maxBody  int64          // bytes; 0: no limit
	request  *headerChanges // nil: none
	response *headerChanges
}

// action is what a route does with a request. An error means that there is no
// answer, or a part of one only.
type action interface {
	serve(x *exchange, w http.ResponseWriter, r *http.Request) error
}

// preparer is an action that adds fields to a request before the route changes
// its header: so the operator's changes have the last word.
type preparer interface {
	prepare(x *exchange, r *http.Request)
}

func newRoutes(all []config.Route, backends map[string]backend) []*route {
	var routes []*route
	for i := range all {
		c := &all[i]
		r := &route{
			cfg:      c,
			name:     cmp.Or(c.Name, fmt.Sprintf("routes[%d]", i)),
			match:    newMatch(&c.Match),
			maxBody:  int64(c.MaxBody),
			request:  newHeaderChanges(&c.Headers.Request),
			response: newHeaderChanges(&c.Headers.Response),
		}
		if c.RateLimit != nil {
			r.limit = newRateLimit(c.RateLimit)
		}
		switch {
		case c.Redirect != nil:
			r.target, r.action = "redirect", redirect{c.Redirect.To, c.Redirect.Status}
		case c.Respond != nil:
			r.target, r.action = "respond", respond{c.Respond.Status, c.Respond.Body}
		default:
			r.target, r.action = c.Backend, backends[c.Backend]
		}
		routes = append(routes, r)
	}
	return routes
}

// listed is a route as a listener has it.
type listed struct {
	*route
	raw  bool // whether it takes raw messages
	http bool // whether it takes HTTP requests
}

// routesOf returns the routes that take something from a listener.
func routesOf(listener string, all []*route) []listed {
	var routes []listed
	for _, r := range all {
		l := listed{r, r.cfg.Takes(listener, config.PayloadRaw), r.cfg.Takes(listener, config.PayloadHTTP)}
		if l.raw || l.http {
			routes = append(routes, l)
		}
	}
	return routes
}

// find returns the first route that takes a request, nil if none does. A route
// takes TRACE, which shows what fields a server receives, only if it names it.
func find(routes []listed, x *exchange, r *http.Request) *route {
	for _, l := range routes {
		if x.payload == config.PayloadRaw {
			if l.raw && l.match.client(x.client.Addr()) {
				return l.route
			}
			continue
		}
		if l.http && l.match.all(x, r) && (r.Method != http.MethodTrace || len(l.match.methods) > 0) {
			return l.route
		}
	}
	return nil
}

// match is what a route asks of a request. What is empty asks for nothing.
type match struct {
	hosts   []string // example.org, or .example.org for all below
	exact   []string
	below   []string // ends with /
	suffix  []string
	methods []string
	headers []headerMatch
	from    []netip.Prefix
}

type headerMatch struct{ name, value string } // * is any value

func newMatch(c *config.Match) (m match) {
	for _, h := range c.Hosts {
		m.hosts = append(m.hosts, strings.TrimPrefix(h, "*"))
	}
	for _, p := range c.Paths {
		switch {
		case strings.HasPrefix(p, "*"):
			m.suffix = append(m.suffix, p[1:])
		case strings.HasSuffix(p, "*"):
			m.below = append(m.below, p[:len(p)-1])
		default:
			m.exact = append(m.exact, p)
		}
	}
	m.methods = c.Methods
	for name, value := range c.Headers {
		m.headers = append(m.headers, headerMatch{http.CanonicalHeaderKey(name), value})
	}
	m.from = networks(c.From)
	return m
}

func networks(list []string) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, s := range list {
		prefixes = append(prefixes, config.Network(s))
	}
	return prefixes
}

func (m *match) all(x *exchange, r *http.Request) bool {
	return m.host(x.host) && m.path(x.path) && m.method(r.Method) && m.header(r.Header) && m.client(x.client.Addr())
}

func (m *match) host(host string) bool {
	if len(m.hosts) == 0 {
		return true
	}
	for _, h := range m.hosts {
		if h == host || h[0] == '.' && len(host) > len(h) && strings.HasSuffix(host, h) {
			return true
		}
	}
	return false
}

func (m *match) path(path string) bool {
	if len(m.exact)+len(m.below)+len(m.suffix) == 0 {
		return true
	}
	return slices.Contains(m.exact, path) ||
		slices.ContainsFunc(m.below, func(p string) bool { return strings.HasPrefix(path, p) }) ||
		slices.ContainsFunc(m.suffix, func(s string) bool { return strings.HasSuffix(path, s) })
}

func (m *match) method(method string) bool {
	return len(m.methods) == 0 || slices.Contains(m.methods, method)
}

func (m *match) header(h http.Header) bool {
	for _, want := range m.headers {
		values := h[want.name]
		if len(values) == 0 || want.value != "*" && !slices.Contains(values, want.value) {
			return false
		}
	}
	return true
}

func (m *match) client(a netip.Addr) bool {
	return len(m.from) == 0 || contains(m.from, a)
}

func contains(networks []netip.Prefix, a netip.Addr) bool {
	a = a.WithZone("")
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// redirect sends the client elsewhere.
type redirect struct {
	to     string
	status int
}

func (d redirect) serve(x *exchange, w http.ResponseWriter, r *http.Request) error {
	if x.host == "" && strings.Contains(d.to, "{host}") {
		return &badRequest{errors.New("the request has no Host, so there is nowhere to redirect it to")}
	}
	to := strings.NewReplacer("{host}", x.host, "{path}", r.URL.EscapedPath(), "{uri}", r.URL.RequestURI()).Replace(d.to)
	w.Header().Set("Location", to)
	return answerText(w.(answer), d.status, fmt.Sprintf("%d %s\n\n%s\n", d.status, http.StatusText(d.status), to))
}

// respond answers with a fixed text.
type respond struct {
	status int
	body   string
}

func (d respond) serve(x *exchange, w http.ResponseWriter, r *http.Request) error {
	body := d.body
	if body == "" {
		body = fmt.Sprintf("%d %s\n", d.status, http.StatusText(d.status))
	}
	return answerText(w.(answer), d.status, body)
}

// headerChanges are changes of header fields, in this order.
type headerChanges struct {
	remove   []string
	set, add []field
}

type field struct{ name, value string }

// newHeaderChanges returns nil if there is nothing to change.
func newHeaderChanges(c *config.HeaderChanges) *headerChanges {
	if len(c.Remove)+len(c.Set)+len(c.Add) == 0 {
		return nil
	}
	h := new(headerChanges)
	for _, name := range c.Remove {
		h.remove = append(h.remove, http.CanonicalHeaderKey(name))
	}
	for name, value := range c.Set {
		h.set = append(h.set, field{http.CanonicalHeaderKey(name), value})
	}
	for name, value := range c.Add {
		h.add = append(h.add, field{http.CanonicalHeaderKey(name), value})
	}
	return h
}

func (c *headerChanges) apply(h http.Header) {
	for _, name := range c.remove {
		delete(h, name)
	}
	for _, f := range c.set {
		h[f.name] = []string{f.value}
	}
	for _, f := range c.add {
		h[f.name] = append(h[f.name], f.value)
	}
}

// applyRequest is apply for a request, whose Host isn't in its header. It reports
// whether the Host was set.
func (c *headerChanges) applyRequest(r *http.Request) bool {
	c.apply(r.Header)
	host := r.Header["Host"] // the operator's: oneHost removed the client's
	if host != nil {
		r.Host = host[0]
		delete(r.Header, "Host")
	}
	return host != nil
}
