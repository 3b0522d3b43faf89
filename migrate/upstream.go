package migrate

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// upstream is an upstream block.
type upstream struct {
	d        *directive
	servers  []server
	by       string // balance.by, "" for the default
	header   string // of by header
	sticky   string // the name of its cookie
	keep     int
	fails    string // max_fails and fail_timeout of the servers
	timeout  string
	comments []string
	used     bool
}

type server struct {
	address string // host:port, or unix:PATH
	weight  int
	backup  bool
}

// readGlobals reads what servers refer to by name, and what concerns all of them.
func (m *migration) readGlobals(http *scope) {
	for _, d := range http.own {
		switch d.Name {
		case "upstream":
			if len(d.Args) == 1 {
				m.done[d] = true
				m.upstreams[d.Arg(0)] = m.readUpstream(d)
			}
		case "limit_req_zone":
			for _, arg := range d.Args {
				if name, ok := strings.CutPrefix(arg, "zone="); ok {
					name, _, _ = strings.Cut(name, ":")
					m.zones[name] = d
					m.done[d] = true
				}
			}
		case "map":
			// What WebSockets need, which mkd does by itself.
			if len(d.Args) == 2 && d.Arg(0) == "$http_upgrade" {
				m.done[d] = true
			}
			m.maps[last(d.Args)] = d
		}
	}
	if from := args(http.nearest("set_real_ip_from")); len(from) > 0 {
		m.global = append(m.global, entry{key: "trusted_proxies", value: networks(from)})
		if field := http.word("real_ip_header"); field != "" && field != "proxy_protocol" && !strings.EqualFold(field, "X-Forwarded-For") {
			m.global = append(m.global, entry{key: "client_ip_field", value: field})
		}
	}
	m.readLog(http)
}

// readLog reads the format of the access log and the level of the error log.
func (m *migration) readLog(http *scope) {
	log := &block{flow: true}
	if d := http.last("error_log"); d != nil && len(d.Args) > 1 {
		level, known := map[string]string{"debug": "debug", "warn": "warn", "error": "error", "crit": "error", "alert": "error", "emerg": "error"}[d.Arg(1)]
		if known {
			log.set("level", level)
		}
	}
	switch d := http.last("access_log"); {
	case d == nil:
	case d.Arg(0) == "off" && logs(http.own): // routes of the other sites say so for themselves
	case d.Arg(0) == "off":
		log.set("access", false)
		m.unlogged = true
	case len(d.Args) == 1 || d.Arg(1) == "combined":
		log.set("access", flowOf("format", "combined"))
	}
	if len(log.entries) > 0 {
		m.global = append(m.global, entry{key: "log", value: log})
	}
}

// logs reports whether a directive has requests logged.
func logs(all []*directive) bool {
	return slices.ContainsFunc(all, func(d *directive) bool {
		return d.Name == "access_log" && d.Arg(0) != "off" || logs(d.Block)
	})
}

// readUpstream reads an upstream block.
func (m *migration) readUpstream(d *directive) *upstream {
	u := &upstream{d: d}
	for _, line := range d.Block {
		m.done[line] = true
		switch line.Name {
		case "server":
			m.readServer(u, line)
		case "least_conn":
			u.by = "least_conn"
		case "ip_hash":
			u.by = "ip_hash"
		case "random":
			u.by = "random_two"
		case "hash":
			if field, ok := strings.CutPrefix(line.Arg(0), "$http_"); ok && field != "" {
				u.by, u.header = "header", fieldName(field)
			} else if line.Arg(0) == "$remote_addr" || line.Arg(0) == "$binary_remote_addr" {
				u.by = "ip_hash"
			} else {
				u.comments = append(u.comments, m.comment(line, "balance knows ip_hash and header"))
			}
		case "keepalive":
			u.keep, _ = strconv.Atoi(line.Arg(0))
		case "zone", "keepalive_timeout", "keepalive_requests", "keepalive_time", "resolver", "resolver_timeout":
		case "sticky":
			if u.sticky = line.Arg(1); line.Arg(0) != "cookie" || u.sticky == "" {
				u.comments, u.sticky = append(u.comments, m.comment(line, "sticky is by a cookie")), ""
			}
		default:
			u.comments = append(u.comments, m.comment(line, reasonFor(line)))
		}
	}
	return u
}

func (m *migration) readServer(u *upstream, d *directive) {
	if len(d.Args) == 0 {
		return
	}
	s := server{address: d.Arg(0), weight: 1}
	for _, arg := range d.Args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "weight":
			if n, err := strconv.Atoi(value); err == nil {
				s.weight = min(max(n, 1), 1000)
			}
		case "max_fails":
			u.fails = value
		case "fail_timeout":
			if t := duration(value); t != "0" {
				u.timeout = t
			}
		case "backup":
			s.backup = true
		case "down":
			u.comments = append(u.comments, m.comment(d, "it is down"))
			return
		case "resolve", "max_conns", "slow_start":
			u.comments = append(u.comments, m.note(d, "mkd has no %s of a server; names are resolved anew as they change, and max_connections is that of each server", name))
		}
	}
	u.servers = append(u.servers, s)
}

// urls returns the servers of a backend as lists of blocks.
func (u *upstream) urls(scheme string) []*block {
	var list []*block
	all := !slices.ContainsFunc(u.servers, func(s server) bool { return !s.backup })
	for _, s := range u.servers {
		b := &block{flow: true}
		b.set("url", serverURL(scheme, s.address))
		if s.weight != 1 {
			b.set("weight", s.weight)
		}
		if s.backup && !all {
			b.set("backup", true)
		}
		list = append(list, b)
	}
	return list
}

// serverURL returns the URL of an address.
func serverURL(scheme, address string) string {
	if strings.HasPrefix(address, "unix:") {
		return strings.TrimSuffix(address, ":")
	}
	return scheme + "://" + address
}

// balance returns the section balance, nil if all is as by default.
func (u *upstream) balance() *block {
	b := &block{flow: true}
	if u.by != "" {
		b.set("by", u.by)
	}
	if u.header != "" {
		b.set("header", u.header)
	}
	if n, err := strconv.Atoi(u.fails); err == nil {
		b.set("max_fails", min(n, 1000))
	}
	if t := atMost(u.timeout, time.Hour); t != "" && t != "10s" {
		b.set("fail_timeout", t)
	}
	if len(b.entries) == 0 || len(u.servers) < 2 {
		return nil
	}
	return b
}

// target is what a proxy_pass names.
type target struct {
	scheme, authority, uri string
	hasURI                 bool
}

// parseTarget reads the argument of proxy_pass.
func parseTarget(text string) (t target, ok bool) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return t, false
	}
	t.scheme = scheme
	if path, isSocket := strings.CutPrefix(rest, "unix:"); isSocket {
		path, t.uri, t.hasURI = strings.Cut(path, ":")
		t.hasURI = t.hasURI && t.uri != ""
		t.authority = "unix:" + path
		return t, !strings.Contains(rest, "$")
	}
	at := strings.IndexAny(rest, "/$?")
	if at < 0 {
		at = len(rest)
	}
	t.authority, t.uri, t.hasURI = rest[:at], rest[at:], at < len(rest)
	if u, err := url.Parse(scheme + "://" + t.authority); err != nil || u.Host == "" || strings.HasSuffix(t.authority, "$") {
		return t, false
	}
	return t, true
}
