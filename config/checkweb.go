package config

import (
	"slices"
	"strings"
)

// checkStorage checks the default folder where it will be needed. One that is
// given was checked when it was read.
func (w *walker) checkStorage(cfg *Config) {
	if r := cfg.Storage.Redis; r != nil {
		w.checkRedis(&r.Redis)
	}
	if o := w.at(&cfg.Storage.Path); o == nil || o.given {
		return
	}
	for i := range cfg.Listeners {
		h := cfg.Listeners[i].HTTPS
		if h == nil || !slices.ContainsFunc(h.Certificates(), func(c Certificate) bool { return c.ACME != nil || c.Internal }) {
			continue
		}
		if info, err := w.sys.stat(cfg.Storage.Path); err == nil && !info.IsDir() {
			w.wrong(&cfg.Storage.Path, "%s isn't a folder, and certificates are kept there; give another in storage", quotePath(cfg.Storage.Path))
		}
		return
	}
}

func (w *walker) checkHTTP(h *HTTPBackend) {
	first := make(map[string]int)
	for i := range h.Upstreams {
		u := &h.Upstreams[i]
		if !w.sound(&u.URL) {
			continue
		}
		if path, ok := strings.CutPrefix(u.URL, "unix:"); ok {
			path = w.at(&u.URL).source.path(path)
			if u.URL = "unix:" + path; len(path) > maxSocket {
				w.wrong(&u.URL, "the path of the socket has %d bytes; %d are the most", len(path), maxSocket)
			}
		}
		same := sameUpstream(u.URL)
		if before, taken := first[same]; taken {
			w.wrong(&u.URL, "it is the same server as upstreams[%d]; for a larger share give that one a weight", before)
			continue
		}
		first[same] = i
	}
	w.checkHTTP2(h)
	w.checkBalance(&h.Balance)
	switch t := &h.TLS; {
	case !w.sound(&t.Cert, &t.Key):
	case t.Cert == "" && t.Key != "":
		w.wrong(&t.Key, "cert and key go together; give cert too")
	case t.Cert != "" && t.Key == "":
		w.wrong(&t.Cert, "cert and key go together; give key too")
	}
	w.checkHealth(h.Health)
}

// checkHTTP2 checks that servers speak the same version of HTTP, and that what is
// asked of a connection can be had if requests share it.
func (w *walker) checkHTTP2(h *HTTPBackend) {
	two := false
	for i := range h.Upstreams {
		u := &h.Upstreams[i].URL
		if !w.sound(u) || !w.sound(&h.Upstreams[0].URL) {
			return
		}
		if two = SpeaksHTTP2(*u); two != SpeaksHTTP2(h.Upstreams[0].URL) {
			w.wrong(u, "it speaks another version of HTTP than upstreams[0]; make a backend of its own for each version")
			return
		}
	}
	if !two {
		return
	}
	for _, option := range []any{&h.MaxConnections, &h.Queue, &h.QueueTimeout} {
		if w.at(option).given {
			w.wrong(option, "requests share the connections of HTTP/2; take it out, and bound them by max_in_flight of the route")
		}
	}
	if h.ProxyProtocol != "" && w.sound(&h.ProxyProtocol) {
		w.wrong(&h.ProxyProtocol, "clients share the connections of HTTP/2; take it out: servers have the client's address in X-Forwarded-For")
	}
}

// checkBalance checks that a field is given where it decides, and only there.
func (w *walker) checkBalance(b *Balance) {
	switch {
	case !w.sound(&b.By, &b.Header):
	case b.By == "header" && b.Header == "":
		w.wrong(&b.By, "whose value decides? Give header, as in {by: header, header: X-Tenant}")
	case b.By != "header" && b.Header != "":
		w.wrong(&b.Header, "it decides only with by: header; take it out, or set that")
	}
}

func (w *walker) checkHealth(h *Health) {
	if h == nil {
		return
	}
	w.checkTwice(&h.Headers)
	if status := &h.Status; w.sound(status) && *status > 0 && *status < 200 {
		w.wrong(status, "got %d; want 200 to 599, or 0 for any from 200 to 399", *status)
	}
}
