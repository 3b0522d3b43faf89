package config

import "strings"

// checkTLS checks that there is one source of certificates, and all it needs.
func (w *walker) checkTLS(h *HTTPS) {
	t := &h.TLS
	if w.at(&t.ACME) == nil { // it isn't a block
		return
	}
	acme, files, internal := w.at(&t.ACME).given, t.Cert != "" || t.Key != "" || !w.sound(&t.Cert, &t.Key), t.Internal
	n := 0
	for _, source := range []bool{acme, files, internal} {
		if source {
			n++
		}
	}
	switch {
	case n > 1:
		w.wrong(t, "it has more than one source of certificates; keep one of acme, cert with key, and internal: true")
		return
	case n == 0 && w.sound(t):
		w.wrong(t, "where do the certificates come from? Give acme, or cert and key, or internal: true")
		return
	case files && t.Cert == "" && w.sound(&t.Cert):
		w.wrong(&t.Key, "cert and key go together; give cert too")
	case files && t.Key == "" && w.sound(&t.Key):
		w.wrong(&t.Cert, "cert and key go together; give key too")
	}
	w.checkHosts(h, acme || internal)
	if t.ACME != nil && w.at(&t.ACME.AgreeTerms) != nil && w.sound(&t.ACME.AgreeTerms) && !t.ACME.AgreeTerms {
		w.wrong(&t.ACME.AgreeTerms, "authorities give certificates only to those who agree to their terms of service; read them, and set agree_terms: true")
	}
}

// checkHosts checks the names that certificates are for.
func (w *walker) checkHosts(h *HTTPS, needed bool) {
	if needed && len(h.Hosts) == 0 && w.sound(&h.Hosts) {
		w.wrong(&h.Hosts, "which names are the certificates for? List them, as in hosts: [example.org]")
	}
	first := make(map[string]bool)
	for i := range h.Hosts {
		host := &h.Hosts[i]
		switch {
		case !w.sound(host):
		case first[*host]:
			w.wrong(host, "%s is a duplicate; take one out", *host)
		case h.TLS.ACME != nil && strings.HasPrefix(*host, "*."):
			w.wrong(host, "an authority gives wildcard certificates only by dns-01, which mkd doesn't speak; list the names, or give cert and key")
		}
		first[*host] = true
	}
}

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
		if h == nil || h.TLS.ACME == nil && !h.TLS.Internal {
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
	w.checkHealth(h.Health)
}

func (w *walker) checkHealth(h *Health) {
	if h == nil {
		return
	}
	if status := &h.Status; w.sound(status) && *status > 0 && *status < 200 {
		w.wrong(status, "got %d; want 200 to 599, or 0 for any from 200 to 399", *status)
	}
}
