package migrate

import (
	"cmp"
	"net"
	"slices"
	"strings"
	"time"
)

// scriptsOf returns the location that runs the scripts that a location of files leads
// to: by the end of its try_files, or by its index. It is nil if there are none.
func (s *site) scriptsOf(l *location, script string) *location {
	candidates := []string{script}
	if script == "" && (l.kind == byPrefix || l.kind == exactly && strings.HasSuffix(l.pattern, "/")) {
		if d := l.scope.last("index"); d != nil {
			for _, name := range d.Args {
				candidates = append(candidates, strings.TrimSuffix(l.pattern, "/")+"/"+strings.TrimPrefix(name, "/"))
			}
		}
	}
	for _, path := range candidates {
		if path == "" {
			continue
		}
		if to := s.find(path); to != nil && to.runs() && to.folder() == l.folder() {
			return to
		}
	}
	return nil
}

// folder returns the folder that a location has its files in, as it is written.
func (l *location) folder() string {
	if at := l.aliased(); at != nil {
		return last(at.scope.here("alias")[0].Args)
	}
	return l.scope.word("root")
}

// runs reports whether a location runs scripts.
func (l *location) runs() bool {
	return slices.ContainsFunc(l.scope.own, func(d *directive) bool { return d.Name == "fastcgi_pass" })
}

// anyScript is the name of a script that no configuration names.
const anyScript = "a-script-that-is-not-named.php"

// unlessGeneric returns a route that refuses other scripts than those that nginx runs:
// a fastcgi backend would run all that it finds.
func (s *site) unlessGeneric(l, php *location) []*route {
	to := s.find(strings.TrimSuffix(l.pattern, "/") + "/" + anyScript)
	if l.kind == byRegexp || to != nil && to.runs() || strings.Contains(l.pattern, ".php") {
		return nil
	}
	r := &route{comments: []string{"nginx runs no other scripts than those above, and the one in try"}, action: entry{key: "respond", value: flowOf("status", 404)}}
	r.match = s.match(l)
	r.match.pathRegexp = `\.php(/|$)`
	return []*route{r}
}

// fastcgi leads a route to the scripts of the location php, with the files of l.
func (m *migration) fastcgi(s *site, l, php *location, r *route, try []string) {
	pass := php.scope.here("fastcgi_pass")[0]
	addresses, keep, ok := m.fastcgiAddresses(pass.Arg(0))
	if !ok {
		r.comments = append(r.comments, m.comment(pass, "an address has no variables"))
		r.action = entry{key: "respond", value: flowOf("status", 502)}
		return
	}
	l.scope.here("fastcgi_index")
	if l == php {
		l.scope.here("try_files") // whether the script exists
	}
	root, strip, ok := m.root(l, r)
	if !ok {
		return
	}
	if r.options.get("strip_prefix") == nil {
		r.options.strip(strip)
	}
	b := &block{}
	b.set("addresses", addresses)
	if u := m.upstreams[pass.Arg(0)]; u != nil {
		r.comments = append(r.comments, u.comments...)
		u.comments = nil
		if balance := u.balance(); balance != nil {
			b.set("balance", balance)
		}
		if slices.ContainsFunc(u.servers, func(s server) bool { return s.weight != 1 }) {
			r.comments = append(r.comments, m.note(u.d, "the addresses of fastcgi have no weights"))
		}
		if slices.ContainsFunc(u.servers, func(s server) bool { return s.backup }) {
			r.comments = append(r.comments, m.note(u.d, "the addresses of fastcgi have no backup"))
		}
	}
	b.set("root", root)
	if server := m.serverRoot(php, root); server != "" {
		b.set("server_root", server)
	}
	fixed := php.fixedScript(root)
	if l == php && fixed != "" { // nginx runs it for each path
		r.options.remove("rewrite")
		r.options.remove("strip_prefix")
		r.options.set("rewrite", flowOf("path", fixed))
	}
	files := l
	if outer := s.rest(); l == php && fixed == "" && php.kind != byPrefix && outer != php { // it has the same as the files around it
		if other, script, _ := m.tryFiles(s, outer, &route{}); s.scriptsOf(outer, script) == php {
			try, files = other, outer
			rewrites := slices.ContainsFunc(php.scope.own, func(d *directive) bool { return d.Name == "rewrite" })
			if d := outer.scope.last("try_files"); d != nil && script != "" && !rewrites {
				r.comments = append(r.comments, m.note(d, "a script that doesn't exist leads to %s, too; nginx responds with 404", script))
			}
		}
	}
	index := m.index(files)
	if len(index) > 0 && !slices.Equal(index, []string{"index.php", "index.html"}) && files.scope.last("index") != nil {
		b.set("index", index)
	}
	if len(try) > 0 && !slices.Equal(try, []string{"{path}", "{path}/"}) {
		b.set("try", try)
	}
	if files != php || php.kind == byPrefix {
		m.fileOptions(files, b, r)
	}
	m.params(s, php, root, b, r)
	m.timeouts(php, b, "fastcgi_", r)
	if php.scope.word("fastcgi_request_buffering") == "off" {
		b.set("stream_body", true)
	}
	if keep > 0 && php.scope.word("fastcgi_keep_conn") == "on" {
		b.set("keep_alive", keep)
	}
	if send := m.sendFile(s); send != nil {
		b.set("send_file", send)
	}
	r.backend(m.add(s, "fastcgi", "php", b))
}

// fastcgiAddresses returns the addresses of a fastcgi_pass, and how many connections its
// upstream block keeps.
func (m *migration) fastcgiAddresses(pass string) (addresses []string, keep int, ok bool) {
	if u := m.upstreams[pass]; u != nil {
		for _, server := range u.servers {
			if !server.backup && !slices.Contains(addresses, server.address) {
				addresses = append(addresses, server.address)
			}
		}
		u.used = true
		return addresses, u.keep, len(addresses) > 0
	}
	if strings.Contains(pass, "$") {
		return nil, 0, false
	}
	if !strings.HasPrefix(pass, "unix:") {
		if _, _, err := net.SplitHostPort(pass); err != nil {
			pass = net.JoinHostPort(pass, "9000")
		}
	}
	return []string{pass}, 0, true
}

// serverRoot returns the folder of scripts as the server sees it, "" if it is the same.
func (m *migration) serverRoot(php *location, root string) string {
	for _, d := range php.scope.nearest("fastcgi_param") {
		if len(d.Args) == 2 && d.Arg(0) == "SCRIPT_FILENAME" {
			folder, ok := strings.CutSuffix(d.Arg(1), "$fastcgi_script_name")
			if ok && strings.HasPrefix(folder, "/") && !strings.Contains(folder, "$") && cleanFolder(folder) != root {
				return cleanFolder(folder)
			}
		}
	}
	return ""
}

// fixedScript returns the path of the script that a location runs whatever the path of a
// request is, as SCRIPT_FILENAME names it, "" if there is none.
func (l *location) fixedScript(root string) (script string) {
	for _, d := range l.scope.nearest("fastcgi_param") {
		if len(d.Args) < 2 || d.Arg(0) != "SCRIPT_FILENAME" {
			continue
		}
		script = ""
		for _, folder := range []string{"$document_root", "$realpath_root", root} {
			if rest, ok := strings.CutPrefix(d.Arg(1), folder); ok && folder != "" && strings.HasPrefix(rest, "/") && !strings.ContainsAny(rest, "${}") {
				script = rest
			}
		}
	}
	return script
}

// ownParams are the parameters that mkd sets by itself, with the values that say no more
// than that.
var ownParams = map[string]map[string]bool{
	"CONTENT_LENGTH":  words("$content_length"),
	"CONTENT_TYPE":    words("$content_type"),
	"DOCUMENT_URI":    words("$document_uri $uri $fastcgi_script_name"),
	"HTTPS":           words("$https"),
	"HTTP_HOST":       words("$host $http_host"),
	"PATH_INFO":       words("$fastcgi_path_info $path_info"),
	"QUERY_STRING":    words("$query_string $args"),
	"REMOTE_ADDR":     words("$remote_addr"),
	"REMOTE_PORT":     words("$remote_port"),
	"REMOTE_USER":     words("$remote_user"),
	"REQUEST_METHOD":  words("$request_method"),
	"REQUEST_SCHEME":  words("$scheme"),
	"REQUEST_URI":     words("$request_uri"),
	"SCRIPT_FILENAME": words("$document_root$fastcgi_script_name $document_root/$fastcgi_script_name $realpath_root$fastcgi_script_name $document_root$uri $request_filename"),
	"SCRIPT_NAME":     words("$fastcgi_script_name"),
	"SERVER_ADDR":     words("$server_addr"),
	"SERVER_NAME":     words("$server_name $host $http_host"),
	"SERVER_PORT":     words("$server_port"),
	"SERVER_SOFTWARE": words("nginx/$nginx_version nginx"),
}

// fixedParams are those whose values are about paths on the disk, or never differ.
var fixedParams = words("DOCUMENT_ROOT GATEWAY_INTERFACE HTTP_PROXY PATH_TRANSLATED REDIRECT_STATUS SERVER_PROTOCOL")

// params adds the parameters that are constant to the environment of scripts.
func (m *migration) params(s *site, php *location, root string, b *block, r *route) {
	env := &block{flow: true}
	secure := !slices.ContainsFunc(s.listeners, func(l *listener) bool { return !l.secure })
	for _, d := range php.scope.nearest("fastcgi_param") {
		if len(d.Args) < 2 {
			continue
		}
		name, value := d.Arg(0), d.Arg(1)
		_, own := ownParams[name]
		switch {
		case fixedParams[name], own && (value == "" || ownParams[name][value]), name == "HTTPS" && value == "on" && secure:
		case name == "SCRIPT_FILENAME" && (php.fixedScript(root) != "" || m.serverRoot(php, root) != "" || value == root+"$fastcgi_script_name"):
		case name == "SCRIPT_FILENAME":
			r.comments = append(r.comments, m.comment(d, "mkd runs the script that the path leads to"))
		case own && strings.Contains(value, "$"):
			r.comments = append(r.comments, m.comment(d, "mkd sets it by itself; it believes the X-Forwarded fields of trusted_proxies"))
		case strings.Contains(value, "$") && name != "PHP_VALUE" && name != "PHP_ADMIN_VALUE":
			r.comments = append(r.comments, m.comment(d, "env has no variables of a request"))
		default:
			env.remove(name) // PHP takes the last
			env.set(name, value)
		}
	}
	if len(env.entries) > 0 {
		env.flow = len(env.entries) < 3
		b.set("env", env)
	}
}

// timeouts adds the timeouts of a client package.
func (m *migration) timeouts(l *location, b *block, prefix string, r *route) {
	timeout := func(name string) string {
		t := duration(l.scope.word(prefix + name))
		most := atMost(t, 24*time.Hour)
		if most != t {
			r.comments = append(r.comments, m.note(l.scope.last(prefix+name), "%s are the most", most))
		}
		return most
	}
	if t := timeout("connect_timeout"); t != "" && t != "0" {
		b.set("dial_timeout", t)
	}
	if t := timeout("read_timeout"); t != "" && t != "0" && t != "1m" {
		b.set("response_timeout", t)
		b.set("read_timeout", t)
	}
}

// internal refuses the paths of an internal location: clients can't ask for them. As a
// folder, it is what scripts may have sent by X-Accel-Redirect.
func (m *migration) internal(s *site, l *location, r *route) {
	r.action = entry{key: "respond", value: flowOf("status", 404)}
	m.responseFields(l, r)
	if asks(s.scope.own, l.pattern) {
		m.forget(l.d)
	}
	if l.kind != byPrefix || len(s.sendFiles()) == 0 {
		for _, d := range l.scope.own { // what an error page or a script within has
			m.done[d] = m.done[d] || d.Name == "root" || d.Name == "fastcgi_pass" || d.Name == "try_files" || d.Name == "fastcgi_param" || d.Name == "alias" || d.Name == "fastcgi_split_path_info"
		}
	}
}

// sendFiles returns the internal locations that are folders.
func (s *site) sendFiles() (found []*location) {
	for _, l := range s.locations {
		internal := slices.ContainsFunc(l.scope.own, func(d *directive) bool { return d.Name == "internal" })
		if internal && l.kind == byPrefix && !l.runs() && slices.ContainsFunc(l.scope.own, func(d *directive) bool { return d.Name == "alias" || d.Name == "root" }) {
			found = append(found, l)
		}
	}
	return found
}

// sendFile returns send_file of a server's backends, nil if it has none.
func (m *migration) sendFile(s *site) *block {
	all := s.sendFiles()
	if len(all) == 0 {
		return nil
	}
	l := all[0]
	root, _, ok := m.root(l, &route{})
	if !ok {
		return nil
	}
	b := &block{flow: true}
	if len(l.scope.here("alias")) == 0 {
		root = cleanFolder(root + cmp.Or(strings.TrimSuffix(l.pattern, "/"), "/"))
	}
	b.set("root", root)
	b.set("prefix", strings.TrimSuffix(l.pattern, "/"))
	return b
}
