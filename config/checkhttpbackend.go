package config

import (
	"slices"
	"strings"
)

// check implements kind.
func (h *HTTPBackend) check(w *walker, _ *Config) {
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
	if len(h.Upstreams) > 0 && !slices.ContainsFunc(h.Upstreams, func(u Upstream) bool { return !u.Backup }) && w.sound(&h.Upstreams[0].Backup) {
		w.wrong(&h.Upstreams[0].Backup, "all servers are backups of others; one at least must not be")
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

// warn implements kind: options that do nothing.
func (h *HTTPBackend) warn(w *walker, _ *Config) {
	if h.MaxConnections == 0 {
		for _, option := range []any{&h.Queue, &h.QueueTimeout} {
			if w.at(option).given {
				w.odd(option, "it has no effect without max_connections: no request waits for a connection")
			}
		}
	}
	if h.ProxyProtocol != "" && w.at(&h.IdleTimeout).given {
		w.odd(&h.IdleTimeout, "it has no effect with proxy_protocol: no connection is kept")
	}
	secure := false
	for i := range h.Upstreams {
		secure = secure || strings.HasPrefix(h.Upstreams[i].URL, "https:") || strings.HasPrefix(h.Upstreams[i].URL, "h2:")
	}
	switch t := &h.TLS; {
	case *t == (UpstreamTLS{}):
	case !secure:
		w.odd(t, "it has no effect: no upstream has an https or h2 URL")
	case t.Insecure && (t.CA != ""):
		w.odd(&t.CA, "it has no effect beside insecure: true, with which any certificate is taken")
	}
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
