package config

import (
	"fmt"
	"slices"
	"strings"
)

// at returns where a field or a list element comes from. p points to it.
func (w *walker) at(p any) *origin { return w.origins[p] }

// sound reports whether the fields were read without an error, so that it
// makes sense to compare them.
func (w *walker) sound(fields ...any) bool {
	return !slices.ContainsFunc(fields, func(p any) bool {
		o := w.origins[p]
		return o == nil || o.bad
	})
}

// wrong reports an error at a field.
func (w *walker) wrong(p any, format string, args ...any) {
	o := w.at(p)
	w.errs = append(w.errs, Error{w.file, o.line, o.column, o.path, fmt.Sprintf(format, args...)})
}

// odd reports a warning at a field.
func (w *walker) odd(p any, format string, args ...any) {
	o := w.at(p)
	w.warnings = append(w.warnings, Error{w.file, o.line, o.column, o.path, fmt.Sprintf(format, args...)})
}

// check compares fields with each other. It runs after errors too, so that all
// are told at once, and leaves out what an error was reported for.
func (w *walker) check(cfg *Config) {
	w.checkAddresses(cfg)
	w.checkMemory(cfg)
	for i := range cfg.Listeners {
		if h := cfg.Listeners[i].HTTPS; h != nil {
			w.checkTLS(h)
		}
	}
	for i := range cfg.Backends {
		b := &cfg.Backends[i]
		if b.PHP != nil {
			w.checkPHP(b.PHP)
		}
		if b.HTTP != nil {
			w.checkUpstreams(b.HTTP)
		}
	}
	w.checkRoutes(cfg)
}

func (w *walker) checkAddresses(cfg *Config) {
	first := make(map[string]string)
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		address := l.address()
		if address == nil || !w.sound(address) || isAnyPort(*address) {
			continue
		}
		if name, taken := first[*address]; taken {
			w.wrong(address, "the listener %s has this address already; take another port", name)
			continue
		}
		first[*address] = l.Name
	}
}

// checkTLS checks that there is one source of certificates, and all it needs.
func (w *walker) checkTLS(h *HTTPS) {
	t := &h.TLS
	if !w.sound(t, &t.ACME, &t.Cert, &t.Key, &t.Internal, &h.Hosts) {
		return
	}
	files := w.at(&t.Cert).given || w.at(&t.Key).given
	switch n := count(t.ACME != nil, files, t.Internal); {
	case n == 0:
		w.wrong(t, "where do certificates come from? It must have acme, or cert and key, or internal: true")
		return
	case n > 1:
		w.wrong(t, "it must have one of acme, cert and key, and internal: true; it has %d", n)
		return
	}
	if files && (t.Cert == "" || t.Key == "") {
		w.wrong(t, "cert and key go together; give both")
	}
	if t.ACME == nil {
		return
	}
	if !t.ACME.AgreeTerms {
		w.wrong(&t.ACME.AgreeTerms, "an authority gives certificates only to those who agree to its terms of service; read them, and set agree_terms: true")
	}
	if len(h.Hosts) == 0 {
		w.wrong(&h.Hosts, "for which hosts are the certificates? List them, as in hosts: [example.org]")
	}
	for i := range h.Hosts {
		if strings.HasPrefix(h.Hosts[i], "*.") {
			w.wrong(&h.Hosts[i], "an authority gives wildcard certificates only by dns-01, which mkd doesn't speak; list the hosts, or use cert and key")
		}
	}
}

func count(conditions ...bool) (n int) {
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}

func (w *walker) checkUpstreams(h *HTTPBackend) {
	first := make(map[string]int)
	for i := range h.Upstreams {
		u := &h.Upstreams[i]
		if !w.sound(&u.URL) {
			continue
		}
		if path, ok := strings.CutPrefix(u.URL, "unix:"); ok {
			u.URL = "unix:" + w.fromDir(path)
		}
		if before, taken := first[u.URL]; taken {
			w.wrong(&u.URL, "it is the same as upstreams[%d]; give that one a weight instead", before)
			continue
		}
		first[u.URL] = i
	}
}

// checkMemory checks that one message and its answer find room.
func (w *walker) checkMemory(cfg *Config) {
	var largest Size
	for i := range cfg.Listeners {
		if m := cfg.Listeners[i].Megaki; m != nil && w.sound(&m.MaxMessage) {
			largest = max(largest, m.MaxMessage)
		}
	}
	memory := &cfg.Limits.MessageMemory
	if least := 2*largest + MiB; w.sound(memory) && *memory < least {
		w.wrong(memory, "got %v; want %v at least: twice the largest max_message, %v, and 1MiB", *memory, least, largest)
	}
}

func (w *walker) checkPHP(p *PHP) {
	if _, given := p.Ini["memory_limit"]; given && w.sound(&p.Ini) {
		w.wrong(&p.Ini, "PHP's memory_limit is set by memory_ceiling here; give that instead")
	}
	least, most := &p.Workers.Min, &p.Workers.Max
	if w.sound(least, most) && *least > *most {
		switch given := w.at(most).given; {
		case given && w.at(least).given:
			w.wrong(least, "min is %d, more than max, which is %d", *least, *most)
		case given:
			*least = *most
		default:
			*most = *least
		}
	}
	soft, hard := &p.MemoryLimit, &p.MemoryCeiling
	if w.sound(soft, hard) && *hard < *soft {
		at, what := hard, "lower memory_limit too"
		if !w.at(hard).given {
			at, what = soft, "raise memory_ceiling too"
		}
		w.wrong(at, "memory_ceiling is %v, less than memory_limit, which is %v; %s", *hard, *soft, what)
	}
}

// checkRoutes checks that the names in routes exist. Where there are none at
// all, that was reported before.
func (w *walker) checkRoutes(cfg *Config) {
	var listeners, backends []string
	for i := range cfg.Listeners {
		listeners = append(listeners, cfg.Listeners[i].Name)
	}
	for i := range cfg.Backends {
		backends = append(backends, cfg.Backends[i].Name)
	}
	for i := range cfg.Routes {
		r := &cfg.Routes[i]
		if r.Backend != "" {
			w.checkName(&r.Backend, "backend", backends)
		}
		for i := range r.Match.Listeners {
			w.checkName(&r.Match.Listeners[i], "listener", listeners)
		}
		w.checkRoute(r)
	}
}

// checkRoute checks what a route's own keys have to do with each other.
func (w *walker) checkRoute(r *Route) {
	m := &r.Match
	if w.sound(&m.Payload) && m.Payload == PayloadRaw && m.aboutHTTP() {
		w.wrong(&m.Payload, "raw messages have no host, path, method or header, so this can never match; take out payload, or the other conditions")
	}
	if w.sound(&m.Payload, &r.Raw) && m.Payload == PayloadHTTP && r.Raw != nil {
		w.wrong(&r.Raw, "it has no effect on a route that takes HTTP requests alone; take out payload: http")
	}
	if r.Redirect != nil && w.sound(&r.Redirect.Status) && r.Redirect.Status > 303 && r.Redirect.Status < 307 {
		w.wrong(&r.Redirect.Status, "got %d; want 301, 302, 303, 307 or 308", r.Redirect.Status)
	}
	w.checkChanges(&r.Headers.Request)
	w.checkChanges(&r.Headers.Response)
}

// framing are header fields that say where a message ends, and what the
// connection is for: they are mkd's own.
var framing = []string{"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

func (w *walker) checkChanges(c *HeaderChanges) {
	for _, fields := range []*map[string]string{&c.Set, &c.Add} {
		for name := range *fields {
			if w.sound(fields) && slices.ContainsFunc(framing, func(f string) bool { return strings.EqualFold(f, name) }) {
				w.wrong(fields, "%s can't be changed: it says where a message ends, or is about the connection", name)
			}
		}
	}
}

func (w *walker) checkName(name *string, what string, names []string) {
	if !w.sound(name) || len(names) == 0 || slices.Contains(names, *name) {
		return
	}
	w.wrong(name, "there is no %s %s%s", what, quote(*name), didYouMean(w.suggest(*name, names), names))
}
