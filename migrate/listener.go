package migrate

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"mkd/migrate/nginxconf"
)

// listener is an address that servers listen on.
type listener struct {
	name     string
	address  string
	secure   bool
	http3    bool
	proxy    bool    // connections begin with a PROXY header
	sites    []*site // the default one first
	redirect bool    // to HTTPS, for all requests
	comments []string
	keys     []entry // further ones
}

// block returns the listener's section.
func (l *listener) block() *block {
	b, inner := &block{}, &block{}
	inner.set("address", l.address)
	inner.entries = append(inner.entries, l.keys...)
	if l.redirect {
		inner.set("redirect_https", true)
	}
	kind := "http"
	if l.secure {
		kind = "https"
	}
	inner.flow = len(inner.entries) < 3 && !l.secure
	b.set(kind, inner)
	b.flow = inner.flow
	return b
}

// listeners returns the listeners of all servers, in order.
func (m *migration) listeners(sites []*site) ([]*listener, error) {
	var all []*listener
	open := make(map[string]bool) // addresses that are a port of all addresses
	for _, s := range sites {
		for _, d := range s.listens() {
			open[listenAddress(d)] = true
		}
	}
	for _, s := range sites {
		for _, d := range s.listens() {
			address := listenAddress(d)
			if address == "" {
				s.comments = append(s.comments, m.comment(d, "mkd listens on TCP ports"))
				continue
			}
			has := func(word string) bool { return slices.Contains(d.Args[1:], word) }
			_, port, _ := net.SplitHostPort(address)
			one := address != ":"+port && open[":"+port]
			if one {
				address = ":" + port
				s.comments = append(s.comments, m.note(d, "mkd listens on all addresses of the port at once; hosts alone decide which server gets a request"))
			}
			i := slices.IndexFunc(all, func(l *listener) bool { return l.address == address })
			if i < 0 {
				i = len(all)
				all = append(all, &listener{address: address})
			}
			l := all[i]
			l.secure = l.secure || has("ssl") || has("quic") || s.scope.word("ssl") == "on"
			l.http3 = l.http3 || has("quic")
			l.proxy = l.proxy || has("proxy_protocol")
			switch {
			case slices.Contains(l.sites, s):
			case !one && (has("default_server") || has("default")):
				l.sites = slices.Insert(l.sites, 0, s)
			default:
				l.sites = append(l.sites, s)
			}
			if !slices.Contains(s.listeners, l) {
				s.listeners = append(s.listeners, l)
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no server listens on a TCP port", m.file)
	}
	taken := make(map[string]bool)
	for _, l := range all {
		l.name = listenerName(l, taken)
		m.configure(l)
	}
	return all, nil
}

// listens returns the listen directives of a server.
func (s *site) listens() []*nginxconf.Directive {
	if lines := s.scope.here("listen"); len(lines) > 0 {
		return lines
	}
	return []*nginxconf.Directive{{Name: "listen", Args: []string{"80"}, File: s.d.File, Line: s.d.Line}}
}

// listenAddress returns the address of a listen directive as mkd has it, "" for a
// unix socket.
func listenAddress(d *nginxconf.Directive) string {
	if len(d.Args) == 0 || strings.HasPrefix(d.Arg(0), "unix:") {
		return ""
	}
	a := d.Arg(0)
	if strings.Trim(a, "0123456789") == "" {
		return ":" + a
	}
	host, port, err := net.SplitHostPort(a)
	if err != nil {
		host, port = strings.Trim(a, "[]"), "80"
	}
	if host == "*" || host == "0.0.0.0" || host == "::" {
		host = ""
	}
	return net.JoinHostPort(host, port)
}

// listenerName returns a name that no other listener has.
func listenerName(l *listener, taken map[string]bool) string {
	name, port := "http", "80"
	if l.secure {
		name, port = "https", "443"
	}
	if _, p, _ := net.SplitHostPort(l.address); p != port && taken[name] {
		name += "_" + p
	}
	return unique(name, taken)
}

// unique returns a name that isn't taken, and takes it.
func unique(name string, taken map[string]bool) string {
	free := name
	for i := 2; taken[free]; i++ {
		free = fmt.Sprintf("%s_%d", name, i)
	}
	taken[free] = true
	return free
}

// configure adds what servers say of their connections.
func (m *migration) configure(l *listener) {
	first := l.sites[0].scope
	if l.secure {
		m.certificates(l)
	}
	if l.http3 {
		l.keys = append(l.keys, entry{key: "http3", value: true})
	}
	for _, c := range []struct {
		theirs, ours, def string
		most              time.Duration
	}{
		{"client_header_timeout", "header_timeout", "10s", 24 * time.Hour},
		{"client_body_timeout", "body_timeout", "1m", 24 * time.Hour},
		{"send_timeout", "write_timeout", "1m", 24 * time.Hour},
		{"keepalive_timeout", "idle_timeout", "2m", 8760 * time.Hour},
	} {
		if d := first.last(c.theirs); d != nil {
			if t := atMost(duration(d.Arg(0)), c.most); t != "" && t != "0" {
				if t == c.def {
					continue
				}
				l.keys = append(l.keys, entry{key: c.ours, value: t})
			} else {
				l.comments = append(l.comments, m.comment(d, "connections are always kept for a while"))
			}
		}
	}
	if l.proxy {
		from := args(first.nearest("set_real_ip_from"))
		l.keys = append(l.keys, entry{key: "proxy_protocol", value: flowOf("from", networks(from))})
		if len(from) == 0 {
			l.comments = append(l.comments, "proxy_protocol: give the networks of your load balancers in from")
		}
	}
	for _, s := range l.sites { // of the others it is known that they are about connections
		for _, name := range []string{"client_header_timeout", "client_body_timeout", "send_timeout", "keepalive_timeout", "http3", "http2", "ssl"} {
			s.scope.nearest(name)
		}
	}
}

// certificates adds the certificates of a listener: that of the default server, and
// those of the others.
func (m *migration) certificates(l *listener) {
	tls := &block{flow: true}
	var more []*block
	seen := make(map[string]bool)
	for i, s := range l.sites {
		certs, keys := s.scope.nearest("ssl_certificate"), s.scope.nearest("ssl_certificate_key")
		if len(certs) == 0 || len(keys) < len(certs) {
			if i == 0 {
				l.comments = append(l.comments, fmt.Sprintf("%s: the server has no ssl_certificate; give its files in tls", m.position(s.d)))
			}
			continue
		}
		for j, c := range certs {
			cert, key := c.Arg(0), keys[j].Arg(0)
			switch {
			case seen[cert]:
				continue
			case strings.ContainsRune(cert+key, '$'):
				l.comments = append(l.comments, m.comment(c, "a certificate is a file; names with variables can be several certificates"))
				continue
			}
			seen[cert] = true
			if len(tls.entries) == 0 {
				tls.set("cert", cert)
				tls.set("key", key)
				continue
			}
			b := &block{flow: true}
			b.set("cert", cert)
			b.set("key", key)
			more = append(more, b)
		}
	}
	if d := l.sites[0].scope.last("ssl_protocols"); d != nil && !slices.Contains(d.Args, "TLSv1.2") && slices.Contains(d.Args, "TLSv1.3") {
		tls.set("min_version", "1.3")
		tls.flow = len(more) == 0
	} else if d != nil && (slices.Contains(d.Args, "TLSv1") || slices.Contains(d.Args, "TLSv1.1")) {
		l.comments = append(l.comments, m.note(d, "mkd needs TLS 1.2 at least"))
	}
	m.clientAuth(l, tls)
	if len(more) > 0 {
		tls.flow = false
		tls.set("certificates", more)
	}
	l.keys = append(l.keys, entry{key: "tls", value: tls})
	for _, s := range l.sites {
		s.scope.nearest("ssl_protocols")
	}
}

// clientAuth asks clients for certificates, as the default server does.
func (m *migration) clientAuth(l *listener, tls *block) {
	first := l.sites[0].scope
	verify := first.word("ssl_verify_client")
	ca := first.word("ssl_client_certificate")
	if verify == "" || verify == "off" || ca == "" {
		return
	}
	first.nearest("ssl_verify_depth")
	b := &block{flow: true}
	b.set("ca", ca)
	if verify != "on" {
		b.set("mode", "verify_if_given")
	}
	tls.flow = false
	tls.set("client_auth", b)
}

// args returns the first arguments of directives.
func args(all []*nginxconf.Directive) (list []string) {
	for _, d := range all {
		if len(d.Args) > 0 {
			list = append(list, d.Arg(0))
		}
	}
	return list
}
