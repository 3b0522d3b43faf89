package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"mkd/metavar"
)

// checkRoutes checks each route: that the names in it exist, and that its options
// fit together. If there are no listeners or backends at all, that was reported
// before.
func (w *walker) checkRoutes(cfg *Config) {
	var listeners, backends []string
	kinds := make(map[string]*Backend)
	names := make(map[string]string) // of routes, with their paths
	for i := range cfg.Listeners {
		listeners = append(listeners, cfg.Listeners[i].Name)
	}
	for i := range cfg.Backends {
		backends = append(backends, cfg.Backends[i].Name)
		kinds[cfg.Backends[i].Name] = &cfg.Backends[i]
	}
	if cfg.ErrorPages != nil && cfg.ErrorPages.Backend != "" {
		w.checkName(&cfg.ErrorPages.Backend, "backend", &cfg.Backends, backends)
	}
	for r, index := range cfg.EachRoute() {
		if w.at(&r.Match) == nil { // it isn't a block
			continue
		}
		if r.Backend != "" {
			w.checkName(&r.Backend, "backend", &cfg.Backends, backends)
		}
		if r.Fallback != "" {
			w.checkName(&r.Fallback, "backend", &cfg.Backends, backends)
		}
		if r.ErrorPages != nil && r.ErrorPages.Backend != "" {
			w.checkName(&r.ErrorPages.Backend, "backend", &cfg.Backends, backends)
		}
		for i := range r.Match.Listeners {
			w.checkName(&r.Match.Listeners[i], "listener", &cfg.Listeners, listeners)
		}
		if w.sound(&r.Name) && r.Name != "" {
			if before, taken := names[r.Name]; taken {
				w.wrong(&r.Name, "%s has this name already; use another", before)
			} else {
				names[r.Name] = index
			}
		}
		if b := kinds[r.Backend]; b != nil {
			w.checkBackendOptions(r, b)
		}
		w.checkFallback(r, kinds)
		w.checkRaw(r)
		w.checkClientCertificate(r, cfg)
		w.checkResponse(r)
		w.checkCORS(r.CORS)
		w.checkRateLimit(r.RateLimit)
		w.checkRewrite(r)
		w.checkNested(r)
		w.checkTwice(&r.Match.Headers)
		w.checkNot(&r.Match)
		w.checkTwice(&r.Headers.Request.Set)
		w.checkTwice(&r.Headers.Request.Add)
		w.checkTwice(&r.Headers.Response.Set)
		w.checkTwice(&r.Headers.Response.Add)
	}
	w.checkGroups(cfg.Routes, nil)
	w.checkAuth(cfg.Routes, false, "")
}

// checkBackendOptions checks that the options of a route work with its backend.
func (w *walker) checkBackendOptions(r *Route, b *Backend) {
	if r.RawPath && b.HTTP == nil && r.Fallback == "" && w.sound(&r.RawPath) {
		w.wrong(&r.RawPath, "only http backends see the path as it was written; remove raw_path: PHP has it in REQUEST_URI anyway, and files have one path each")
	}
	if b.PHP == nil && b.FastCGI == nil {
		return
	}
	for _, fields := range []*map[string]string{&r.Headers.Request.Set, &r.Headers.Request.Add} {
		for _, name := range slices.Sorted(maps.Keys(*fields)) {
			if w.sound(fields) && metavar.Hidden(name) {
				w.wrong(fields, "PHP would never see the field %s: one named Proxy, or with _ or . in its name, isn't passed to it, since PHP couldn't distinguish it from another; write - instead", name)
				break
			}
		}
	}
}

// checkFallback checks that a route's backend leaves something to its fallback.
func (w *walker) checkFallback(r *Route, kinds map[string]*Backend) {
	if r.Fallback == "" || !w.sound(&r.Fallback) {
		return
	}
	switch b := kinds[r.Backend]; {
	case r.Backend == r.Fallback:
		w.wrong(&r.Fallback, "it is the route's backend already; name another")
	case r.Backend == "" || b != nil && b.Files == nil:
		w.wrong(&r.Fallback, "only where backend is one of files is there something left to respond to; remove fallback")
	}
}

// checkName checks that a section has a name. names are those that it has.
func (w *walker) checkName(name *string, what string, section any, names []string) {
	if !w.sound(name) || len(names) == 0 && !w.sound(section) || slices.Contains(names, *name) {
		return
	}
	shown, near := quote(*name), w.suggest(*name, names)
	if written := w.at(name).written; written != "" {
		shown, near = quote(written), ""
	}
	w.wrong(name, "there is no %s %s%s", what, shown, didYouMean(near, names))
}

// checkRaw checks that a route for raw messages can match some.
func (w *walker) checkRaw(r *Route) {
	m := &r.Match
	const never = "raw messages have no host, path, query, method or header, so that none can match"
	switch {
	case !w.sound(&m.Payload, &r.Raw):
	case m.Payload == PayloadRaw && m.aboutHTTP():
		w.wrong(&m.Payload, never+"; remove payload: raw, or the conditions on HTTP requests")
	case m.Payload == PayloadHTTP && r.Raw != nil:
		w.wrong(&r.Raw, "raw messages don't match here; remove raw, or payload: http")
	case r.Raw != nil && m.aboutHTTP():
		w.wrong(&r.Raw, never+"; give raw to a route without conditions on HTTP requests")
	}
}

// checkNested checks a route that has others inside.
func (w *walker) checkNested(r *Route) {
	if o := w.at(&r.Routes); o != nil && o.given && !o.bad && len(r.Routes) == 0 {
		w.wrong(&r.Routes, "it is empty; it must have one route at least")
	}
}

// checkNot checks the conditions of not. Without any, they would hold for all
// requests.
func (w *walker) checkNot(m *Match) {
	if m.Not == nil || !w.sound(&m.Not) {
		return
	}
	w.checkTwice(&m.Not.Headers)
	if reflect.ValueOf(m.Not).Elem().IsZero() {
		w.wrong(&m.Not, "it has no condition, so that no request matches; give it one, or remove it")
	}
}

// checkClientCertificate checks that a listener of the route asks for certificates.
func (w *walker) checkClientCertificate(r *Route, cfg *Config) {
	if r.ClientCertificate != "required" || len(cfg.Listeners) == 0 {
		return
	}
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		if !r.Takes(l.Name, PayloadHTTP) || l.HTTPS == nil {
			continue
		}
		if l.HTTPS.asksClients() || w.at(&l.HTTPS.TLS.ACME) == nil {
			return
		}
	}
	w.wrong(&r.ClientCertificate, "no https listener of this route asks clients for a certificate, so that each would get 403; give client_auth: {ca: clients.pem, mode: verify_if_given} to the tls of one")
}

// checkResponse checks the responses of redirect and respond.
func (w *walker) checkResponse(r *Route) {
	if r.Redirect != nil {
		if status := &r.Redirect.Status; w.sound(status) && *status > 303 && *status < 307 {
			w.wrong(status, "got %d; want 301, 302, 303, 307 or 308", *status)
		}
	}
	if r.Respond == nil {
		return
	}
	if body, file := &r.Respond.Body, &r.Respond.File; *body != "" && *file != "" && w.sound(body, file) {
		w.wrong(file, "it has both body and file; keep one of them")
	} else if *file != "" && w.sound(file) {
		w.checkPage(file)
	}
	if (r.Respond.Body != "" || r.Respond.File != "") && w.sound(&r.Respond.Status) {
		if status := r.Respond.Status; status == 204 || status == 205 || status == 304 {
			w.wrong(&r.Respond.Body, "a response with the status %d has no body; remove it, or use another status", status)
		}
	}
}

func (w *walker) checkRateLimit(l *RateLimit) {
	if l == nil || !w.sound(&l.By, &l.Header) {
		return
	}
	if l.By == "header" && l.Header == "" {
		w.wrong(&l.By, "which field? Give header too, as in header: X-Api-Key")
	} else if l.By != "header" && l.Header != "" {
		w.wrong(&l.Header, "it has no effect without by: header")
	}
}

// maxPage is the largest file that respond and error_pages take, in bytes.
const maxPage = MiB

// checkPage checks that a file can be kept in memory.
func (w *walker) checkPage(file *string) {
	if info, err := w.sys.stat(*file); err == nil && info.Size() > int64(maxPage) {
		w.wrong(file, "%s is larger than %v; serve it by a files backend", quotePath(*file), maxPage)
	}
}

// checkRewrite checks that the parts of a rewrite fit together.
func (w *walker) checkRewrite(r *Route) {
	rw := r.Rewrite
	if rw == nil || !w.sound(&r.Rewrite) {
		return
	}
	switch {
	case rw.Path != "" && rw.Regexp != "":
		w.wrong(&rw.Regexp, "it has both path and regexp; keep one of them")
	case rw.Regexp != "" && rw.To == "":
		w.wrong(&rw.Regexp, "regexp and to go together; give to too")
	case rw.To != "" && rw.Regexp == "":
		w.wrong(&rw.To, "regexp and to go together; give regexp too, or write path")
	case rw.Query != "" && rw.RemoveQuery:
		w.wrong(&rw.RemoveQuery, "it has both query and remove_query; keep one of them")
	case *rw == Rewrite{}:
		w.wrong(&r.Rewrite, "it changes nothing; give path, regexp and to, add_prefix, query or remove_query")
	case r.RawPath && (rw.Path != "" || rw.Regexp != "" || rw.AddPrefix != ""):
		w.wrong(&r.RawPath, "the path can't be both what the client wrote and rewritten; remove raw_path")
	}
}

// checkTwice checks that no header field is given twice, in upper and in lower
// case: which of them counts would be random.
func (w *walker) checkTwice(fields *map[string]string) {
	if !w.sound(fields) {
		return
	}
	names := make(map[string]bool)
	for name := range *fields {
		name = strings.ToLower(name)
		if names[name] {
			w.wrong(fields, "the field %s is given twice; upper and lower case don't differ", name)
			return
		}
		names[name] = true
	}
}
