package migrate

import (
	"errors"
	"slices"
	"strings"
)

// proxy leads a route to servers that speak HTTP.
func (m *migration) proxy(s *site, l *location, d *directive, r *route) {
	t, ok := parseTarget(d.Arg(0))
	if ok && t.uri == "$request_uri" {
		t.uri, t.hasURI = "", false
		r.options.remove("rewrite") // which it isn't about
		r.options.set("raw_path", true)
	}
	if t.uri == "$uri$is_args$args" {
		t.uri, t.hasURI = "", false
	}
	if !ok || strings.Contains(t.uri, "$") {
		r.comments = append(r.comments, m.comment(d, "the URL of a server has no variables"))
		r.action = entry{key: "respond", value: flowOf("status", 502)}
		return
	}
	b, name := &block{}, "app"
	if u := m.upstreams[t.authority]; u != nil {
		u.used = true
		name = safeName(t.authority)
		r.comments = append(r.comments, u.comments...)
		u.comments = nil
		if len(u.servers) == 0 {
			r.action = entry{key: "respond", value: flowOf("status", 502)}
			return
		}
		b.set("upstreams", u.urls(t.scheme))
		if balance := u.balance(); balance != nil {
			b.set("balance", balance)
		}
		if u.sticky != "" {
			b.set("sticky", flowOf("cookie", u.sticky))
		}
	} else {
		url := flowOf("url", serverURL(t.scheme, t.authority))
		b.set("upstreams", []*block{url})
	}
	m.timeouts(l, b, "proxy_", r)
	headers, remove, host := m.requestFields(l, r)
	switch {
	case host == "" && m.upstreams[t.authority] == nil:
		b.set("host", "upstream")
	case host == "": // nginx sends the name of the upstream block
		headers.front("Host", t.authority)
	}
	if t.scheme == "https" {
		m.serverTLS(l, d, b, r)
	}
	m.buffering(l, b)
	m.pathOf(l, d, t, r)
	request := &block{flow: true}
	if len(headers.entries) > 0 {
		request.set("set", headers)
	}
	if len(remove) > 0 {
		request.set("remove", remove)
	}
	if len(request.entries) > 0 {
		r.options.set("headers", flowOf("request", request))
	}
	if send := m.sendFile(s); send != nil {
		b.set("send_file", send)
	}
	r.backend(m.add(s, "http", name, b))
}

func (b *block) front(key string, value any) {
	b.entries = append([]entry{{key: key, value: value}}, b.entries...)
}

// grpc leads a route to servers of gRPC.
func (m *migration) grpc(s *site, d *directive, r *route) {
	scheme, authority := "h2c", strings.TrimPrefix(d.Args[0], "grpc://")
	if rest, ok := strings.CutPrefix(authority, "grpcs://"); ok {
		scheme, authority = "h2", rest
	}
	if strings.ContainsAny(authority, "$/") {
		r.comments = append(r.comments, m.comment(d, "the URL of a server has no variables"))
		r.action = entry{key: "respond", value: flowOf("status", 502)}
		return
	}
	b := &block{}
	if u := m.upstreams[authority]; u != nil {
		u.used = true
		b.set("upstreams", u.urls(scheme))
	} else {
		b.set("upstreams", []*block{flowOf("url", scheme+"://"+authority)})
	}
	r.backend(m.add(s, "http", "grpc", b))
}

// serverTLS configures how a server's certificate is checked.
func (m *migration) serverTLS(l *location, d *directive, b *block, r *route) {
	tls := &block{flow: true}
	if ca := l.scope.word("proxy_ssl_trusted_certificate"); ca != "" {
		tls.set("ca", ca)
	}
	if name := l.scope.word("proxy_ssl_name"); name != "" && !strings.Contains(name, "$") {
		tls.set("server_name", name)
	}
	if l.scope.word("proxy_ssl_verify") != "on" {
		r.comments = append(r.comments, m.note(d, "mkd checks the server's certificate, which nginx didn't; tls: {ca: FILE} trusts one of your own"))
	}
	if len(tls.entries) > 0 {
		b.set("tls", tls)
	}
}

// buffering keeps what nginx does by itself: slow clients hold no connection of the
// server. WebSockets and streams say that they want none of it.
func (m *migration) buffering(l *location, b *block) {
	off := l.scope.word("proxy_buffering") == "off"
	off = l.scope.word("proxy_request_buffering") == "off" || off
	if !off && !l.upgrades() {
		b.set("buffer", true)
	}
}

// upgrades reports whether a location forwards WebSockets.
func (l *location) upgrades() bool {
	return slices.ContainsFunc(l.scope.nearest("proxy_set_header"), func(d *directive) bool {
		return len(d.Args) == 2 && strings.EqualFold(d.Arg(0), "Upgrade") && d.Arg(1) != ""
	})
}

// pathOf changes the path as proxy_pass does if it has one.
func (m *migration) pathOf(l *location, d *directive, t target, r *route) {
	if !t.hasURI {
		return
	}
	to, _, query := strings.Cut(t.uri, "?")
	if query {
		r.comments = append(r.comments, m.comment(d, "requests keep their own query"))
	}
	switch {
	case l.kind == exactly:
		if to != l.pattern {
			r.options.set("rewrite", flowOf("path", to))
		}
	case l.kind != byPrefix || to == l.pattern:
	default:
		switch {
		case !strings.HasSuffix(l.pattern, "/"):
			r.comments = append(r.comments, m.note(d, "%s is taken off in front of a slash alone: %[1]sx stays as it is", l.pattern))
		case !strings.HasSuffix(to, "/"):
			r.comments = append(r.comments, m.note(d, "a slash follows %s: nginx writes %[1]sx", to))
		}
		r.options.strip(strings.TrimSuffix(l.pattern, "/"))
		if prefix := strings.TrimSuffix(to, "/"); prefix != "" {
			r.options.set("rewrite", flowOf("add_prefix", prefix))
		}
	}
}

// copies reports whether a variable is what a server that is asked about requests has
// in its response.
func (l *location) copies(variable string) bool {
	return slices.ContainsFunc(l.scope.nearest("auth_request_set"), func(d *directive) bool { return d.Arg(0) == variable })
}

// requestFields returns the fields that proxy_set_header gives requests, but for those
// that mkd sets by itself, the names of those that it removes, and the Host.
func (m *migration) requestFields(l *location, r *route) (set *block, remove []string, host string) {
	set = &block{flow: true}
	for _, d := range l.scope.nearest("proxy_set_header") {
		if len(d.Args) != 2 {
			continue
		}
		name, value := d.Arg(0), d.Arg(1)
		switch strings.ToLower(name) {
		case "host":
			host = value
			if value == "$host" || value == "$http_host" || value == "$host:$server_port" || value == "$server_name" {
				continue
			}
			if value == "$proxy_host" {
				host = ""
				continue
			}
		case "upgrade", "connection", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "proxy", "proxy-connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding":
			continue
		}
		if value == "" {
			remove = append(remove, name)
			continue
		}
		if l.copies(value) {
			continue
		}
		text, err := expandVariables(value, l)
		if err == nil && strings.EqualFold(name, "Host") && strings.Contains(text, "{") {
			err = errors.New("the host of requests to servers has no placeholders; they get that of the client")
		}
		if err != nil {
			r.comments = append(r.comments, m.comment(d, err.Error()))
			continue
		}
		set.entries = slices.DeleteFunc(set.entries, func(e entry) bool { return strings.EqualFold(e.key, name) })
		set.set(name, text)
	}
	return set, remove, host
}
