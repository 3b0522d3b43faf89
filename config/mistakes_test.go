package config

import (
	"strings"
	"testing"
)

// TestMistakes has mistakes that people make when they write the file by hand,
// each with the message that it must get. The text of a case is the first section
// of a file whose other sections are right.
func TestMistakes(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a kind's keys beside it", `
listeners:
  app:
    megaki:
    address: ":6363"
    keys: [server.key]
`, `4:5: listeners.app.address: it belongs in megaki; indent this line more than megaki
5:5: listeners.app.keys: it belongs in megaki; indent this line more than megaki`},
		{"a kind beside its name", `
listeners:
  app:
  megaki: {address: ":6363", keys: [server.key]}
`, `3:3: listeners.megaki: it belongs in app; indent this line more than app`},
		{"a name beside its section", `
backends:
site:
  php: {script: app.php}
`, `2:1: site: it belongs in backends; indent this line more than backends`},
		{"workers as a number", `
backends:
  site:
    php: {script: app.php, workers: 4}
`, `3:37: backends.site.php.workers: got the number 4; want keys with values, as in {min: 4, max: 4}`},
		{"redirect as a word", `
routes:
  - redirect: /new
`, `2:15: routes[0].redirect: got "/new"; want keys with values, as in {to: /new}`},
		{"respond as a number", `
routes:
  - respond: 410
`, `2:14: routes[0].respond: got the number 410; want keys with values, as in {status: 410}`},
		{"rate_limit as a number", `
routes:
  - {backend: site, rate_limit: 5}
`, `2:33: routes[0].rate_limit: got the number 5; want keys with values, as in {rate: 5, burst: 50}`},
		{"an upstream as a word", `
backends:
  site: {http: {upstreams: ["http://127.0.0.1:9000"]}}
`, `2:29: backends.site.http.upstreams[0]: got "http://127.0.0.1:9000"; want keys with values, as in {url: http://127.0.0.1:9000}`},
		{"upstreams as a word", `
backends:
  site: {http: {upstreams: "http://127.0.0.1:9000"}}
`, `2:28: backends.site.http.upstreams: got "http://127.0.0.1:9000"; want a list, as in [{url: http://127.0.0.1:9000}]`},
		{"try as a word", `
backends:
  site: {fastcgi: {addresses: ["127.0.0.1:9000"], root: a.dir, try: "{path} {path}/ /index.php"}}
`, `2:69: backends.site.fastcgi.try: got "{path} {path}/ /index.php"; want a list, as in ["{path}", "{path}/", /index.php]`},
		{"try without quotes", `
backends:
  site: {fastcgi: {addresses: ["127.0.0.1:9000"], root: a.dir, try: [{path}, /index.php]}}
`, `2:70: backends.site.fastcgi.try[0]: got a block of keys; want a string; put it in quotes: "{path}"`},
		{"routes without dashes", `
routes:
  match: {paths: [/api/*]}
  backend: site
`, `2:3: routes: got a block of keys; want a list; begin each with "- "`},
		{"a star without quotes", `
routes:
  - match: {paths: [/a, *.php]}
    backend: site
`, `2:25: this isn't YAML: a * begins an alias here; a value that begins with it must be in quotes, as in "*.php"`},
		{"a host's star without quotes", `
routes:
  - match:
      hosts:
        - *.example.org
    backend: site
`, `4:11: this isn't YAML: a * begins an alias here; a value that begins with it must be in quotes, as in "*.example.org"`},
		{"no TLS key", `
listeners:
  web: {https: {address: ":443", tls: {cert: c.pem, key: missing.key}}}
`, `2:58: listeners.web.https.tls.key: missing.key doesn't exist; it is the private key that was made together with the certificate in cert, as by certbot or openssl`},
		{"tabs", `
listeners:
	app: {megaki: {address: ':1', keys: [k]}}
`, `2:1: this isn't YAML: found character that cannot start any token; indent with spaces, not with tabs`},
		{"an address without its port", `
listeners: {web: {http: {address: 127.0.0.1}}}
`, `1:35: listeners.web.http.address: got "127.0.0.1"; the port is missing; write 127.0.0.1:80`},
		{"a port alone", `
listeners: {web: {http: {address: 80}}}
`, `1:35: listeners.web.http.address: got the number 80; want a string such as 127.0.0.1:80; put it in quotes`},
		{"two listeners on one address", `
listeners: {a: {http: {address: ':80'}}, b: {http: {address: '127.0.0.1:80'}}}
`, `1:62: listeners.b.http.address: the listener a has this port on all addresses already; take another port, or give a an address of its own`},
		{"two kinds", `
listeners: {web: {http: {address: ':80'}, https: {address: ':443', tls: {internal: true}, hosts: [a]}}}
`, `1:43: listeners.web: it has both http and https; keep one of them`},
		{"no certificate", `
listeners: {web: {https: {address: ':443', tls: {}}}}
`, `1:49: listeners.web.https.tls: where do the certificates come from? Give acme, or cert and key, or internal: true`},
		{"a certificate without its key", `
listeners: {web: {https: {address: ':443', tls: {cert: c.pem}}}}
`, `1:56: listeners.web.https.tls.cert: cert and key go together; give key too`},
		{"acme without hosts", `
listeners: {web: {https: {address: ':443', tls: {acme: {agree_terms: true}}}}}
`, `1:19: listeners.web.https.hosts: which names are the certificates for? List them, as in hosts: [example.org]`},
		{"acme without agreement", `
listeners: {web: {https: {address: ':443', hosts: [a.org], tls: {acme: {email: a@b.org}}}}}
`, `1:66: listeners.web.https.tls.acme.agree_terms: authorities give certificates only to those who agree to their terms of service; read them, and set agree_terms: true`},
		{"a wildcard by acme", `
listeners: {web: {https: {address: ':443', hosts: ['*.a.org'], tls: {acme: {agree_terms: true}}}}}
`, `1:52: listeners.web.https.hosts[0]: an authority gives wildcard certificates only by dns-01; give acme a dns block, as in dns: {rfc2136: {server: 192.0.2.53:53, key_file: tsig.key}}, or list the names`},
		{"tls as a word", `
listeners: {web: {https: {address: ':443', tls: internal}}}
`, `1:49: listeners.web.https.tls: got "internal"; want keys with values, as in {cert: c.pem, key: k.pem}`},
		{"keys as a word", `
listeners: {app: {megaki: {address: ':1', keys: server.key}}}
`, `1:49: listeners.app.megaki.keys: got "server.key"; want a list, as in [server.key]`},
		{"no Megaki key", `
listeners: {app: {megaki: {address: ':1', keys: [missing.key]}}}
`, `1:50: listeners.app.megaki.keys[0]: missing.key doesn't exist; make it with mkd keygen --out missing.key`},
		{"a misspelt kind", `
backends: {site: {fastcig: {root: a.dir}}}
`, `1:19: backends.site.fastcig: unknown key; did you mean "fastcgi"?`},
		{"no FastCGI server", `
backends: {site: {fastcgi: {root: a.dir}}}
`, `1:28: backends.site.fastcgi: no server is given; set addresses to those of PHP-FPM, or spawn for a php-cgi of mkd's own`},
		{"a script that isn't there", `
backends: {site: {php: {script: missing.php}}}
`, `1:33: backends.site.php.script: missing.php doesn't exist; relative paths start at the folder of the configuration file`},
		{"a folder for a script", `
backends: {site: {php: {script: some.dir}}}
`, `1:33: backends.site.php.script: some.dir is a folder; want a file`},
		{"more least than most workers", `
backends: {site: {php: {script: s.php, workers: {min: 9, max: 4}}}}
`, `1:55: backends.site.php.workers.min: min is 9, more than max, which is 4`},
		{"memory_limit in ini", `
backends: {site: {php: {script: s.php, ini: {memory_limit: 1G}}}}
`, `1:45: backends.site.php.ini: PHP's memory_limit is set by memory_ceiling here; give that instead`},
		{"a size with another unit", `
backends: {site: {php: {script: s.php, memory_limit: 512M}}}
`, `1:54: backends.site.php.memory_limit: got "512M"; the units of a size are B, KiB, MiB, GiB and TiB; did you mean 512MiB?`},
		{"a time without a unit", `
backends: {site: {php: {script: s.php, timeout: 30}}}
`, `1:49: backends.site.php.timeout: got the number 30; the unit is missing; write 30s, or 30ms, 30m, 30h`},
		{"days", `
backends: {site: {php: {script: s.php, max_age: 1d}}}
`, `1:49: backends.site.php.max_age: got "1d"; a day isn't a unit; write 24h`},
		{"a user's number", `
backends: {site: {php: {script: s.php, user: 33}}}
`, `1:46: backends.site.php.user: got the number 33; want a string; put it in quotes`},
		{"an upstream without its scheme", `
backends: {site: {http: {upstreams: [{url: '127.0.0.1:9000'}]}}}
`, `1:44: backends.site.http.upstreams[0].url: got "127.0.0.1:9000"; write http://127.0.0.1:9000`},
		{"a path in an upstream", `
backends: {site: {http: {upstreams: [{url: 'http://a:9000/api'}]}}}
`, `1:44: backends.site.http.upstreams[0].url: got "http://a:9000/api"; leave out what follows the host and port: requests keep their path, and strip_prefix of a route takes something off`},
		{"an upstream twice", `
backends: {site: {http: {upstreams: [{url: 'http://a'}, {url: 'http://a:80'}]}}}
`, `1:63: backends.site.http.upstreams[1].url: it is the same server as upstreams[0]; for a larger share give that one a weight`},
		{"a variable that isn't set", `
backends: {site: {php: {script: s.php, env: {DB: '${DB_PASSWORD}'}}}}
`, `1:50: backends.site.php.env.DB: the environment variable DB_PASSWORD isn't set; set it, or give a default, as in ${DB_PASSWORD:-default}`},
		{"a backend that isn't there", `
routes: [{backend: siet}]
`, `1:20: routes[0].backend: there is no backend "siet"; did you mean "site"?`},
		{"a route to nowhere", `
routes: [{match: {paths: [/a]}}]
`, `1:10: routes[0]: its kind is missing; it must have one of the keys: backend, redirect, respond, routes`},
		{"a route to two", `
routes: [{backend: site, respond: {status: 404}}]
`, `1:26: routes[0]: it has both backend and respond; keep one of them`},
		{"a path without its slash", `
routes: [{match: {paths: [api/*]}, backend: site}]
`, `1:27: routes[0].match.paths[0]: got "api/*"; want a path, which begins with /`},
		{"a star within a path", `
routes: [{match: {paths: [/api*]}, backend: site}]
`, `1:27: routes[0].match.paths[0]: got "/api*"; a * is allowed after a /, as in /api/*, or at the front, as in *.php`},
		{"a host with a port", `
routes: [{match: {hosts: ['a.org:443']}, backend: site}]
`, `1:27: routes[0].match.hosts[0]: got "a.org:443"; a port isn't allowed: hosts are compared without it`},
		{"a method in lower case", `
routes: [{match: {methods: [get]}, backend: site}]
`, `1:29: routes[0].match.methods[0]: got "get"; want a method in capitals, as in GET`},
		{"a redirect to itself", `
routes: [{redirect: {to: '{uri}'}}]
`, `1:26: routes[0].redirect.to: got "{uri}"; it leads back to itself, for ever; write another host in front, as in https://www.example.org{uri}`},
		{"the framing of a message", `
routes: [{backend: site, headers: {request: {set: {Content-Length: 5}}}}]
`, `1:52: routes[0].headers.request.set.Content-Length: it can't be changed: it frames the message or concerns the connection`},
		{"yes", `
log: {access: yes}
`, `1:15: log.access: got "yes"; want true, false, or keys with values, as in {format: combined}`},
		{"an unquoted colon", `
routes:
  - redirect: {to: a: b}
`, `2:1: this isn't YAML: did not find expected ',' or '}'; look at the indentation, and put quotes around a value that has a colon or a bracket in it`},
		{"a key twice", `
routes: [{backend: site, backend: site}]
`, `1:26: routes[0].backend: duplicate key; the first is in line 1, column 11`},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantErrors(t, mistake(c.text), c.want)
		})
	}
}

// mistake returns a whole file that begins with the section text.
func mistake(text string) string {
	text = strings.TrimPrefix(text, "\n")
	section, _, _ := strings.Cut(text, ":")
	for _, line := range []string{
		"listeners: {app: {megaki: {address: ':1', keys: [k]}}}",
		"backends: {site: {php: {script: s.php}}}",
		"routes: [{backend: site}]",
	} {
		if !strings.HasPrefix(line, section+":") {
			text += line + "\n"
		}
	}
	return text
}
