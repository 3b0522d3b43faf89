package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// match puts a route with conditions into minimal.
func match(text string) string { return routes(`[{match: {` + text + `}, backend: site}]`) }

// to puts a redirect into minimal.
func to(address string) string { return routes(`[{redirect: {to: "` + address + `"}}]`) }

func TestRouteErrors(t *testing.T) {
	path := func(path, what string) (text, want string) {
		return match(`paths: ["` + path + `"]`), `4:27: routes[0].match.paths[0]: got "` + path + `"; ` + what
	}
	prefix := func(prefix, what string) (text, want string) {
		return routes(`[{backend: site, strip_prefix: "` + prefix + `"}]`), `4:40: routes[0].strip_prefix: got "` + prefix + `"; ` + what
	}
	location := func(address, what string) (text, want string) {
		return to(address), `4:26: routes[0].redirect.to: got "` + address + `"; ` + what
	}
	changed := func(column, what, text, want string) (string, string) {
		return routes(`[{backend: site, headers: {request: {` + what + `: ` + text + `}}}]`), `4:` + column + `: routes[0].headers.request.` + what + want
	}
	const (
		never     = "it can never match: double slashes and dot segments are resolved before paths are compared"
		decoded   = "it is compared with the decoded path; write the characters themselves, and only %2F for an encoded slash, %25 for a %"
		starPath  = "a * is allowed only at the end, as in /api/*, or at the front, as in *.php"
		atEnd     = "want a path without a / or * at its end, as in /api"
		noAddress = "want an address, as in https://www.example.org{uri}"
		slash     = "{path} and {uri} begin with a / themselves, so leave out the one in front"
		framing   = "it can't be changed: it frames the message or concerns the connection"
		hidden    = "it can never match: fields about the connection, and those with _ or . in their names, are removed before routes match"
		notRaw    = "raw messages have no host, path, query, method or header, so that none can match"
	)
	unseen := func(name string) string {
		return "PHP would never see the field " + name + ": one named Proxy, or with _ or . in its name, isn't passed to it, since PHP couldn't distinguish it from another; write - instead"
	}
	type c struct{ name, text, want string }
	of := func(name string, f func(a, b string) (string, string), a, b string) c {
		text, want := f(a, b)
		return c{name, text, want}
	}
	change := func(name, column, what, text, want string) c {
		text, want = changed(column, what, text, want)
		return c{name, text, want}
	}
	for _, c := range []c{
		// Kinds.
		{"no kind", routes("[{match: {}}]"), "4:10: routes[0]: its kind is missing; it must have one of the keys: backend, redirect, respond, routes"},
		{"two kinds", routes("[{respond: {}, backend: site}]"), "4:24: routes[0]: it has both respond and backend; keep one of them"},
		{"three kinds", routes("[{backend: site, respond: {}, redirect: {to: /}}]"), "4:26: routes[0]: it has both backend and respond; keep one of them"},
		{"mistyped kind", routes("[{bakend: site}]"), `4:11: routes[0].bakend: unknown key; did you mean "backend"?`},
		{"empty backend", routes("[{backend: ''}]"), "4:20: routes[0].backend: it is empty; give it a value"},
		{"no backend", routes("[{backend: }]"), "4:20: routes[0].backend: got no value; want a string"},
		{"no block", routes("[{match: all, backend: site}]"), `4:18: routes[0].match: got "all"; want keys with values, as in {paths: [/api/*]}`},
		{"a word", routes("[site]"), `4:10: routes[0]: got "site"; want keys with values, as in {backend: site}`},

		// Names.
		{"backend", routes("[{backend: sites}]"), `4:20: routes[0].backend: there is no backend "sites"; did you mean "site"?`},
		{"listener", match("listeners: [ap]"), `4:31: routes[0].match.listeners[0]: there is no listener "ap"; did you mean "app"?`},

		// Conditions.
		{"host", match("hosts: [Example.org]"), `4:27: routes[0].match.hosts[0]: got "Example.org"; hosts are written in lower case: example.org`},
		{"host with a port", match("hosts: ['a.b:80']"), `4:27: routes[0].match.hosts[0]: got "a.b:80"; a port isn't allowed: hosts are compared without it`},
		{"IPv6 without brackets", match("hosts: ['::1']"), `4:27: routes[0].match.hosts[0]: got "::1"; an IPv6 address needs brackets: [::1]`},
		{"long IPv6", match("hosts: ['[0::1]']"), `4:27: routes[0].match.hosts[0]: got "[0::1]"; write it as [::1]`},
		{"IPv4 in brackets", match("hosts: ['[1.2.3.4]']"), `4:27: routes[0].match.hosts[0]: got "[1.2.3.4]"; only an IPv6 address can be in brackets, as in [::1]`},
		of("path without a slash", path, "api", "want a path, which begins with /"),
		of("star", path, "*", "want the end of a path behind the *, as in *.php; leave the condition out to match all paths"),
		of("end with a slash", path, "*/x.php", "want the end of a path behind the *, as in *.php; leave the condition out to match all paths"),
		of("star without a slash", path, "/api*", "a * is allowed after a /, as in /api/*, or at the front, as in *.php"),
		of("star in the middle", path, "/a/*/b", starPath),
		of("two stars", path, "/*/*", starPath),
		of("double slash", path, "/a//b", never),
		of("dot segment", path, "/a/../b", never),
		of("dot segment at the end", path, "/a/.", never),
		of("query", path, "/a?b", "a path has no query here"),
		of("query at the end", path, "*.php?b", "a path has no query here"),
		of("encoded", path, "/b%C3%BCcher/*", decoded),
		of("encoded slash in small letters", path, "/a%2fb", decoded),
		{"control character", match(`paths: ["/a\x01"]`), `4:27: routes[0].match.paths[0]: got "/a\x01"; a path has no control characters here`},
		{"method", match("methods: [get]"), `4:29: routes[0].match.methods[0]: got "get"; want a method in capitals, as in GET`},
		{"no method", match("methods: ['GET POST']"), `4:29: routes[0].match.methods[0]: got "GET POST"; want a method in capitals, as in GET`},
		{"header's name", match("headers: {'X A': b}"), `4:29: routes[0].match.headers."X A": want the name of a header field, as in X-Frame-Options`},
		{"header's value", match(`headers: {X-A: "b\r\nc"}`), `4:29: routes[0].match.headers.X-A: the value of a header field has no line ends and no other control characters`},
		{"header's spaces", match(`headers: {X-A: " b"}`), `4:29: routes[0].match.headers.X-A: the value of a header field has no spaces at its ends`},
		{"host as header", match("headers: {host: a.b}"), `4:29: routes[0].match.headers.host: the host is asked for by hosts, beside headers`},
		{"connection", match("headers: {upgrade: websocket}"), `4:29: routes[0].match.headers.upgrade: ` + hidden},
		{"proxy's", match("headers: {proxy-authorization: x}"), `4:29: routes[0].match.headers.proxy-authorization: ` + hidden},
		{"underscore", match("headers: {X_A: b}"), `4:29: routes[0].match.headers.X_A: ` + hidden},
		{"header twice", match("headers: {X-A: b, x-a: c}"), `4:28: routes[0].match.headers: the field x-a is given twice; upper and lower case don't differ`},
		{"network", match("from: [10.1.0.0/8]"), `4:26: routes[0].match.from[0]: got "10.1.0.0/8"; bits are set behind the prefix; write 10.0.0.0/8`},

		// Raw messages.
		{"raw with hosts", match("payload: raw, hosts: [a.b]"), "4:28: routes[0].match.payload: " + notRaw + "; remove payload: raw, or the conditions on HTTP requests"},
		{"raw with headers", match("payload: raw, headers: {X: y}"), "4:28: routes[0].match.payload: " + notRaw + "; remove payload: raw, or the conditions on HTTP requests"},
		{"raw block with paths", routes("[{match: {paths: [/a]}, raw: {}, backend: site}]"), "4:38: routes[0].raw: " + notRaw + "; give raw to a route without conditions on HTTP requests"},
		{"raw block with http", routes("[{match: {payload: http}, raw: {}, backend: site}]"), "4:40: routes[0].raw: raw messages don't match here; remove raw, or payload: http"},
		{"raw's method", routes("[{raw: {method: post}, backend: site}]"), `4:25: routes[0].raw.method: got "post"; want a method in capitals, as in GET`},
		{"raw's path", routes("[{raw: {path: in}, backend: site}]"), `4:23: routes[0].raw.path: got "in"; want a path, as in /healthz or /search?q=1`},
		{"raw's type", routes(`[{raw: {content_type: "a\nb"}, backend: site}]`), `4:31: routes[0].raw.content_type: got "a\nb"; the value of a header field has no line ends and no other control characters`},

		// Responses.
		{"nowhere", to(""), "4:26: routes[0].redirect.to: it is empty; give it a value"},
		of("no address", location, "www.example.org", "want an address that begins with https://, http:// or /"),
		of("scheme", location, "javascript:alert(1)", "want an address that begins with https://, http:// or /"),
		of("no host", location, "https://{uri}", slash),
		of("no host at all", location, "https://:443/", noAddress),
		of("space", location, "/a b", noAddress),
		of("braces", location, "https://{hots}/", "there is no placeholder {hots}; known are "+placeholderList()+"; for a brace itself, write {{"),
		of("itself", location, "{uri}", "it leads back to itself, for ever; write another host in front, as in https://www.example.org{uri}"),
		of("two slashes", location, "/new/{path}", slash),
		of("another host", location, "//example.org/", "an address that begins with // leads to another host; write its scheme"),
		of("another host and a value", location, "//example.org{query}", "an address that begins with // leads to another host; write its scheme"),
		of("a value alone", location, "{query}", "want an address that begins with https://, http:// or /"),
		of("scheme and a value", location, "https:/{query}", "want an address that begins with https://, http:// or /"),
		of("scheme of the request and a value", location, "{scheme}:{query}", "want an address that begins with https://, http:// or /"),
		{"redirect without to", routes("[{redirect: {}}]"), "4:11: routes[0].redirect.to: the key is missing, and must be given"},
		{"redirect's status", routes("[{redirect: {to: /a, status: 304}}]"), "4:38: routes[0].redirect.status: got 304; want 301, 302, 303, 307 or 308"},
		{"no redirect's status", routes("[{redirect: {to: /a, status: 200}}]"), "4:38: routes[0].redirect.status: got the number 200; want 301 to 308"},
		{"respond's status", routes("[{respond: {status: 100}}]"), "4:29: routes[0].respond.status: got the number 100; want 200 to 599"},
		{"respond's body", routes("[{respond: {status: 204, body: x}}]"), "4:40: routes[0].respond.body: a response with the status 204 has no body; remove it, or use another status"},

		// Options.
		of("prefix's slash", prefix, "/api/", atEnd),
		of("root as prefix", prefix, "/", atEnd),
		of("prefix's star", prefix, "/api/*", atEnd),
		of("prefix without a slash", prefix, "api", "want a path, which begins with /"),
		of("encoded prefix", prefix, "/a%2Fb", "write the characters themselves; % isn't allowed here"),
		change("framing", "52", "set", "{content-length: 1}", ".content-length: "+framing),
		change("framing added", "52", "add", "{Transfer-Encoding: chunked}", ".Transfer-Encoding: "+framing),
		change("framing removed", "55", "remove", "[connection]", `[0]: got "connection"; `+framing),
		change("field's name", "55", "remove", "['X-A:']", `[0]: got "X-A:"; want the name of a header field, as in X-Frame-Options`),
		change("field twice", "51", "set", "{X-A: b, x-a: c}", ": the field x-a is given twice; upper and lower case don't differ"),
		change("field's value", "52", "set", `{X-A: "b\nc"}`, ".X-A: the value of a header field has no line ends and no other control characters"),
		change("Host added", "52", "add", "{host: a}", ".host: a request has one Host; use set, which replaces it"),
		change("Host removed", "55", "remove", "[Host]", `[0]: got "Host"; a request must have a Host; use set, which replaces it`),
		change("no host", "52", "set", `{Host: "a b"}`, ".Host: want a host, with a port if need be, as in app.example.org or app:8080"),
		change("empty host", "52", "set", `{Host: ""}`, ".Host: want a host, with a port if need be, as in app.example.org or app:8080"),
		change("hidden from PHP", "51", "set", `{X_A: b}`, ": "+unseen("X_A")),
		change("Proxy for PHP", "51", "add", `{X-A: b, proxy: c}`, ": "+unseen("proxy")),
		{"raw path for PHP", routes("[{backend: site, raw_path: true}]"), "4:36: routes[0].raw_path: only http backends see the path as it was written; remove raw_path: PHP has it in REQUEST_URI anyway, and files have one path each"},
		{"route's name", routes("[{backend: site, name: 'a b'}]"), `4:32: routes[0].name: got "a b"; a name has letters, digits, - and _ only, and 64 at most`},
		{"name twice", routes("[{match: {paths: [/a]}, backend: site, name: a}, {backend: site, name: a}]"), `4:80: routes[1].name: routes[0] has this name already; use another`},
		{"client's field", minimal + "client_ip_field: X Real IP\n", `5:18: client_ip_field: got "X Real IP"; want the name of a header field with an address, as in X-Real-IP`},
		{"client's field without an address", minimal + "client_ip_field: x-forwarded-host\n", `5:18: client_ip_field: got "x-forwarded-host"; it has no address; want a field such as X-Forwarded-For or X-Real-IP`},
		{"timeout", routes("[{backend: site, timeout: 5}]"), "4:35: routes[0].timeout: got the number 5; the unit is missing; write 5s, or 5ms, 5m, 5h"},
		{"no rate", routes("[{backend: site, rate_limit: {}}]"), "4:26: routes[0].rate_limit.rate: the key is missing, and must be given"},
		{"rate", routes("[{backend: site, rate_limit: {rate: 0}}]"), "4:45: routes[0].rate_limit.rate: got the number 0; want 0.000001 to 1000000"},
		{"client_certificate", routes("[{backend: site, client_certificate: yes}]"), `4:46: routes[0].client_certificate: got "yes"; want required`},
		{"client_certificate nobody is asked for", routes("[{backend: site, client_certificate: required}]"), "4:46: routes[0].client_certificate: no https listener of this route asks clients for a certificate, so that each would get 403; give client_auth: {ca: clients.pem, mode: verify_if_given} to the tls of one"},
		{"rate by", routes("[{backend: site, rate_limit: {rate: 1, by: ip}}]"), `4:52: routes[0].rate_limit.by: got "ip"; want client, session, header or all`},
	} {
		t.Run(c.name, func(t *testing.T) { wantErrors(t, c.text, c.want) })
	}
}

// TestShadows: which conditions take all that others do, in a route above.
func TestShadows(t *testing.T) {
	for _, c := range []struct {
		above, below string
		shadows      bool
	}{
		{"", "", true},
		{"", "hosts: [a.b], paths: [/x], methods: [GET], headers: {X: y}, from: [10.0.0.0/8]", true},
		{"hosts: [a.b]", "", false},
		{"hosts: [a.b]", "hosts: [a.b]", true},
		{"hosts: [a.b, c.d]", "hosts: [c.d]", true},
		{"hosts: [a.b]", "hosts: [a.b, c.d]", false},
		{"hosts: ['*.a.b']", "hosts: [x.a.b, y.x.a.b, '*.x.a.b']", true},
		{"hosts: ['*.a.b']", "hosts: [a.b]", false},
		{"hosts: ['*.a.b']", "hosts: [xa.b]", false},
		{"hosts: [x.a.b]", "hosts: ['*.a.b']", false},
		{"paths: [/api/*]", "paths: [/api/, /api/x, /api/x/*]", true},
		{"paths: [/api/*]", "paths: [/api]", true},
		{"paths: [/api/*]", "paths: [/apis]", false},
		{"paths: [/api/*]", "paths: ['*.php']", false},
		{"paths: [/api/x]", "paths: [/api/*]", false},
		{"paths: ['*.php']", "paths: [/a.php, /x/b.php, '*.x.php']", true},
		{"paths: ['*.php']", "paths: [/php]", false},
		{"paths: ['*.php']", "paths: [/x.php/*]", false},
		{"paths: [/*]", "", true},
		{"paths: [/*]", "paths: ['*.php']", true},
		{"paths: ['*.php']", "", false},
		{"methods: [GET, HEAD]", "methods: [HEAD]", true},
		{"methods: [GET]", "methods: [GET, HEAD]", false},
		{"methods: [GET]", "", false},
		{"headers: {x-a: '*'}", "headers: {X-A: b, X-C: d}", true},
		{"headers: {X-A: b}", "headers: {x-a: b}", true},
		{"headers: {X-A: b}", "headers: {X-A: '*'}", false},
		{"headers: {X-A: b}", "headers: {X-A: c}", false},
		{"headers: {X-A: b}", "", false},
		{"from: [10.0.0.0/8]", "from: [10.1.0.0/16, 10.2.3.4]", true},
		{"from: [10.0.0.0/8]", "from: [10.1.0.0/16, 11.0.0.0/8]", false},
		{"from: [10.1.0.0/16]", "from: [10.0.0.0/8]", false},
		{"from: ['2001:db8::/32']", "from: ['2001:db8::1']", true},
		{"from: [0.0.0.0/0]", "from: ['::1']", false},
		{"hosts: [a.b], paths: [/x]", "hosts: [a.b]", false},
		{"paths: [/api/*]", "paths: [/apiary]", false},
		{"path_regexp: ^/a", "path_regexp: ^/a", true},
		{"path_regexp: ^/a", "paths: [/a]", false},
		{"query: {a: '*'}", "query: {a: '1', b: '2'}", true},
		{"query: {a: '1'}", "query: {a: '*'}", false},
		{"not: {paths: [/a]}", "paths: [/b]", false},
		{"not: {paths: [/a]}", "not: {paths: [/a]}, methods: [GET]", true},
		{"listeners: [app]", "", true},
		{"payload: http", "paths: [/x]", true},
		{"payload: raw", "paths: [/x]", false},
	} {
		t.Run(c.above+" before "+c.below, func(t *testing.T) {
			text := routes(fmt.Sprintf("[{match: {%s}, backend: site}, {match: {%s}, backend: site}]", c.above, c.below))
			warnings := mustParse(t, text).Warnings
			shadows := len(warnings) == 1 && warnings[0].Path == "routes[1]" && strings.Contains(warnings[0].Message, "the routes above it match all that it would")
			if shadows != c.shadows || len(warnings) > 1 {
				t.Errorf("have %v", warnings)
			}
		})
	}
}

func TestRouteWarnings(t *testing.T) {
	web := func(text string) string {
		return strings.Replace(text, "{app: {", "{plain: {http: {address: ':80'}}, secure: {https: {address: ':443', tls: {cert: c, key: k}}}, app: {", 1)
	}
	redirecting := func(text string) string {
		return strings.Replace(web(text), "address: ':80'", "address: ':80', redirect_https: true", 1)
	}
	for _, c := range []struct{ name, text, want string }{
		{"all listeners", web(minimal), ""},
		{"a listener that redirects", redirecting(minimal), ""},
		{"a route of it", redirecting(routes("[{match: {listeners: [plain]}, backend: site}, {backend: site}]")),
			"4:10: routes[0]: this route never matches: its listeners redirect all requests to HTTPS"},
		{"a listener left out", web(match("listeners: [app, plain]")), "2:46: listeners.secure: no route handles requests from this listener"},
		{"raw from the web", web(routes("[{match: {listeners: [plain], payload: raw}, backend: site}, {backend: site}]")),
			"4:10: routes[0]: this route never matches: its listeners get no messages of payload raw"},
		{"raw block for the web", web(routes("[{match: {listeners: [plain]}, raw: {}, backend: site}, {backend: site}]")),
			"4:45: routes[0].raw: it has no effect: no listener of this route gets raw messages"},
		{"raw block for all", web(routes("[{raw: {}, backend: site}]")), ""},
		{"raw after raw", routes("[{raw: {}, backend: site}, {match: {payload: raw}, backend: site}]"), "4:36: routes[1]: this route never matches: the routes above it match all that it would"},
		{"raw redirected", routes("[{match: {payload: raw}, redirect: {to: 'https://a{uri}'}}, {backend: site}]"), "4:44: routes[0].redirect: raw messages can't be redirected; their connection is closed"},
		{"options without a backend", routes("[{match: {paths: [/a]}, respond: {}, strip_prefix: /a, timeout: 1s, headers: {request: {remove: [A]}, response: {remove: [B]}}}, {backend: site}]"), "4:60: routes[0].strip_prefix: it has no effect: no backend sees the requests of this route\n" +
			"4:73: routes[0].timeout: it has no effect: no backend sees the requests of this route\n" +
			"4:96: routes[0].headers.request: it has no effect: no backend sees the requests of this route"},
		{"a proxy's field", match("headers: {X-Forwarded-Proto: https}, paths: [/a]"), "4:28: routes[0].match.headers: X-Forwarded-Proto never matches without trusted_proxies: fields that a client could forge are dropped"},
		{"a proxy's field behind one", match("headers: {X-Forwarded-Proto: https}, paths: [/a]") + "trusted_proxies: [10.0.0.0/8]\n", ""},
		{"encoded slashes for workers", routes("[{encoded_slashes: true, backend: site}]"), "4:28: routes[0].encoded_slashes: it has no effect: only fastcgi backends refuse encoded slashes that a route doesn't let pass"},
		{"prefix of no path", routes("[{match: {paths: [/api/*, /apiary]}, strip_prefix: /app, backend: site}]"), "4:60: routes[0].strip_prefix: it has no effect: no path of this route begins with it"},
		{"prefix of a path", routes("[{match: {paths: [/x, /api/*]}, strip_prefix: /api, backend: site}]"), ""},
		{"longer prefix", routes("[{match: {paths: [/api/*]}, strip_prefix: /api/v1, backend: site}]"), ""},
		{"prefix and ends", routes("[{match: {paths: ['*.php']}, strip_prefix: /api, backend: site}]"), ""},

		// Redirects that lead back.
		{"for ever", routes("[{redirect: {to: '/login?a=b'}}, {match: {payload: raw}, backend: site}]"), "4:26: routes[0].redirect.to: this route matches /login too, so that clients are redirected again and again; add a route for that path above it"},
		{"below itself", routes("[{match: {paths: [/a/*]}, redirect: {to: /a/b}}, {backend: site}]"), "4:50: routes[0].redirect.to: this route matches /a/b too, so that clients are redirected again and again; add a route for that path above it"},
		{"taken above", routes("[{match: {paths: [/login]}, backend: site}, {redirect: {to: /login}}]"), ""},
		{"another path", routes("[{match: {paths: [/old]}, redirect: {to: /new}}, {backend: site}]"), ""},
		{"after a form", routes("[{match: {methods: [POST]}, redirect: {to: /done, status: 303}}, {backend: site}]"), ""},
		{"same scheme", web(routes("[{match: {hosts: [a.b]}, redirect: {to: 'https://{host}{uri}'}}, {backend: site}]")),
			"4:49: routes[0].redirect.to: requests that come in by the listener secure are redirected to where they were, again and again; name the other listeners, as in match: {listeners: [...]}"},
		{"other scheme", web(routes("[{match: {listeners: [plain]}, redirect: {to: 'https://{host}{uri}'}}, {backend: site}]")), ""},
	} {
		t.Run(c.name, func(t *testing.T) { wantWarnings(t, c.text, c.want) })
	}
}

// TestTakes: a raw message goes only where a route asks for it.
func TestTakes(t *testing.T) {
	for _, c := range []struct {
		name      string
		route     Route
		raw, http bool
	}{
		{"nothing said", Route{}, false, true},
		{"raw", Route{Match: Match{Payload: PayloadRaw}}, true, false},
		{"http", Route{Match: Match{Payload: PayloadHTTP}}, false, true},
		{"raw block", Route{Raw: new(Raw)}, true, true},
		{"another listener", Route{Raw: new(Raw), Match: Match{Listeners: []string{"b"}}}, false, false},
		{"this listener", Route{Match: Match{Listeners: []string{"b", "a"}}}, false, true},
		{"path", Route{Match: Match{Conditions: Conditions{Paths: []string{"/"}}}}, false, true},
	} {
		if raw, http := c.route.Takes("a", PayloadRaw), c.route.Takes("a", PayloadHTTP); raw != c.raw || http != c.http {
			t.Errorf("%s: have %v and %v, want %v and %v", c.name, raw, http, c.raw, c.http)
		}
	}
}

// TestManyRoutes: comparing each route with all others, for all listeners, has
// an end.
func TestManyRoutes(t *testing.T) {
	long, many := "routes:\n", "routes: [&r {backend: site}"+strings.Repeat(", *r", 2000)+"]\n"
	for i := range 100 {
		long += fmt.Sprintf("  - {match: {hosts: [a.b%s], paths: [/p%d]}, backend: site}\n", strings.Repeat(", c.d", 250), i)
	}
	for i := range 1500 {
		long += fmt.Sprintf("  - {match: {paths: [/q%d]}, backend: site}\n", i)
	}
	listeners := "listeners:\n  a: &a {megaki: {address: ':0', keys: [k]}}\n"
	for i := range 2000 {
		listeners += fmt.Sprintf("  a%d: *a\n", i)
	}
	for name, text := range map[string]string{
		"long lists":             withLine("routes", long),
		"listeners times routes": listeners + "backends: {site: {php: {script: s}}}\n" + many,
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			if _, err := parse("config.yaml", []byte(text), ".", fakeStat); err != nil {
				t.Fatalf("%.200v", err)
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("it took %v", took)
			}
			t.Logf("%v", time.Since(start))
		})
	}
}
