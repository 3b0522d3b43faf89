package config

import (
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"A": "a", "EMPTY": "", "NESTED": "${A}"}[name]
		return v, ok
	}
	const syntax = "want ${NAME} or ${NAME:-default}; write $${ for a ${ that is no variable"
	for _, c := range []struct{ text, want, err string }{
		{"", "", ""},
		{"$A {A} $", "$A {A} $", ""},
		{"${A}", "a", ""},
		{"x${A}y${A}", "xaya", ""},
		{"${EMPTY}", "", ""},
		{"${EMPTY:-b}", "b", ""},
		{"${UNSET:-b c:-d}", "b c:-d", ""},
		{"${UNSET:-}", "", ""},
		{"${A:-b}", "a", ""},
		{"$${A}", "${A}", ""},
		{"$${A}${A}", "${A}a", ""},
		{"$$${A}", "$${A}", ""},
		{"${NESTED}", "${A}", ""},
		{"${UNSET}", "", "the environment variable UNSET isn't set; set it, or give a default, as in ${UNSET:-default}"},
		{"${}", "", syntax},
		{"${A", "", syntax},
		{"${1}", "", syntax},
		{"${A-b}", "", syntax},
		{"${ A}", "", syntax},
	} {
		have, _, err := expand(c.text, env)
		if have != c.want || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%q: %q, %v; want %q, %v", c.text, have, err, c.want, c.err)
		}
	}
}

// TestExpandedTypes: a variable takes the type of its key.
func TestExpandedTypes(t *testing.T) {
	cfg := mustParse(t, php(`user: "${NUMBER}", workers: {max: "${NUMBER}"}, inherit_env: "${UNSET:-false}", timeout: "${NUMBER}s", memory_limit: "1${UNSET:-MiB}", env: {A: "${NUMBER}"}`))
	p := cfg.Backends[0].PHP
	if p.User != "77" || p.Workers.Max != 77 || p.InheritEnv || p.Timeout.Seconds() != 77 || p.MemoryLimit != MiB || p.Env["A"] != "77" {
		t.Errorf("%+v", p)
	}
}

// TestExpandedErrors: no message has a value of the environment.
func TestExpandedErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unset", php(`user: "${USRE}"`), "3:46: backends.site.php.user: the environment variable USRE isn't set; set it, or give a default, as in ${USRE:-default}"},
		{"syntax", php(`user: "${a b}"`), "3:46: backends.site.php.user: want ${NAME} or ${NAME:-default}; write $${ for a ${ that is no variable"},
		{"empty", php(`php: "${EMPTY}"`), "3:45: backends.site.php.php: it is empty; give it a value, or leave the key out for php"},
		{"no number", php(`queue: "${A}"`), `3:47: backends.site.php.queue: got the value of "${A}"; want a whole number`},
		{"a number out of range", php(`workers: {min: "${LONG}", max: "9${NUMBER}9"}`), "3:55: backends.site.php.workers.min: got the value of \"${LONG}\"; want a whole number\n" +
			`3:71: backends.site.php.workers.max: got the value of "9${NUMBER}9"; want 1 to 1024`},
		{"no duration", php(`timeout: "${NUMBER}"`), `3:49: backends.site.php.timeout: got the value of "${NUMBER}"; want a duration such as 10s`},
		{"no size", php(`memory_limit: "${NUMBER}MB"`), `3:54: backends.site.php.memory_limit: got the value of "${NUMBER}MB"; want a size such as 1MiB`},
		{"one of", minimal + "log: {level: '${A}'}\n", `5:14: log.level: got the value of "${A}"; want debug, info, warn or error`},
		{"format", megaki(`address: "${A}", keys: [k]`), `2:37: listeners.app.megaki.address: got the value of "${A}"; want host:port, as in 127.0.0.1:6363, or :6363 for all addresses`},
		{"header", routes(`[{backend: site, headers: {request: {set: {A: "${A}\n"}}}}]`), `4:52: routes[0].headers.request.set.A: the value of a header field has no line ends and no other control characters`},
		{"path", php(`dir: "${UNSET:-a}/x"`), `3:45: backends.site.php.dir: "${UNSET:-a}/x" isn't a folder`},
		{"file", php(`dir: "/missing ${A}"`), `3:45: backends.site.php.dir: "/missing ${A}" doesn't exist`},
		{"block", php(`workers: "${NUMBER}"`), `3:49: backends.site.php.workers: got the value of "${NUMBER}"; want keys with values, as in {min: 4, max: 4}`},
		{"list", megaki(`address: ":1", keys: "${A}"`), `2:49: listeners.app.megaki.keys: got the value of "${A}"; want a list, as in [server.key]`},
		{"no such backend", routes(`[{backend: "${A}"}]`), `4:20: routes[0].backend: there is no backend "${A}"; known here: site`},
		{"compared", php(`workers: {min: "${NUMBER}", max: 4}`), "3:55: backends.site.php.workers.min: min is ${NUMBER}, more than max, which is 4"},
		{"another's value", withLine("listeners", "listeners: {a: {http: {address: ':80'}}, b: {http: {address: '${HOST}:80'}}, c: {http: {address: ':80'}}}"),
			"2:62: listeners.b.http.address: the listener a has this port on all addresses already; take another port, or give a an address of its own\n" +
				"2:98: listeners.c.http.address: the listener a has this address already; take another port"},
		{"another's host", withLine("listeners", "listeners: {b: {http: {address: '${HOST}:80'}}, c: {http: {address: ':80'}}}"),
			"2:69: listeners.c.http.address: the listener b has this port on ${HOST} already; take another port, or give this listener an address of its own"},
		{"in brackets without quotes", "listeners: {a: {http: {address: ${HOST}:80}}}\n",
			`1:1: this isn't YAML: did not find expected ',' or '}'; within brackets a variable must be in quotes: "${HOST}"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantErrors(t, c.text, c.want)
		})
	}
}

// TestNestedVariable: a value that came from the environment isn't expanded again,
// and a key has no variables.
func TestNestedVariable(t *testing.T) {
	cfg := mustParse(t, php(`env: {A: "${NESTED}", "${A}": b}`))
	if env := cfg.Backends[0].PHP.Env; env["A"] != "${A}" || env["${A}"] != "b" {
		t.Errorf("env: %q", env)
	}
}

func TestSecretFiles(t *testing.T) {
	files := map[string]string{
		"etc/config.yaml": strings.Replace(php(`env: {A: {file: a}, B: {file: "${UNSET:-/b}"}, C: {file: open}}`), "[{backend: site}]",
			`[{backend: site, headers: {request: {set: {Authorization: {file: a}}}}}]`, 1) +
			"sessions: {secret_file: a, store: {redis: {addresses: ['a:1'], password: {file: a}, sentinel: {master: m, password: {file: a}}}}}\n",
		"etc/a":    "secret of a\r\n",
		"/b":       "two\nlines\n\n",
		"etc/open": "c",
	}
	cfg, err := load(files)
	if err != nil {
		t.Fatal(err)
	}
	env := cfg.Backends[0].PHP.Env
	if env["A"] != "secret of a" || env["B"] != "two\nlines" || env["C"] != "c" {
		t.Errorf("env: %q", env)
	}
	if r := cfg.Sessions.Store.Redis; r.Password != "secret of a" || r.Sentinel.Password != "secret of a" {
		t.Errorf("redis: %q, %q", r.Password, r.Sentinel.Password)
	}
	if have := cfg.Routes[0].Headers.Request.Set["Authorization"]; have != "secret of a" {
		t.Errorf("Authorization: %q", have)
	}
	if len(cfg.Warnings) != 1 || !strings.Contains(cfg.Warnings[0].Error(), "env.C.file: etc/open can be read by others") {
		t.Errorf("warnings: %v", cfg.Warnings)
	}
}

func TestSecretFileErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"missing", php(`env: {A: {file: missing}}`), "3:56: backends.site.php.env.A.file: missing doesn't exist; relative paths start at the folder of the configuration file"},
		{"unreadable", php(`env: {A: {file: gone}}`), "3:56: backends.site.php.env.A.file: can't read gone: file does not exist"},
		{"no path", php(`env: {A: {file: }}`), "3:56: backends.site.php.env.A.file: got no value; want the path of a file"},
		{"empty", php(`env: {A: {file: empty}}`), `3:56: backends.site.php.env.A.file: empty is empty; write the value into it, or give "" in place of {file: ...} if there is none`},
		{"another key", php(`env: {A: {fiel: a}}`), "3:49: backends.site.php.env.A: got a block of keys; want a value, or {file: PATH} for one that a file has"},
		{"two keys", php(`env: {A: {file: a, b: c}}`), "3:49: backends.site.php.env.A: got a block of keys; want a value, or {file: PATH} for one that a file has"},
		{"two lines in a header", routes(`[{backend: site, headers: {request: {set: {A: {file: two}}}}}]`), `4:52: routes[0].headers.request.set.A: the value of a header field has no line ends and no other control characters`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := fakeSystem(fakeStat, map[string]string{"two": "a\nb", "empty": "\r\n"}).parse("config.yaml", []byte(c.text), ".")
			if err == nil || strings.TrimPrefix(err.Error(), "config.yaml:") != c.want {
				t.Errorf("have %v\nwant %s", err, c.want)
			}
		})
	}
}
