package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// withLine puts text in place of the line of minimal that has the key.
func withLine(key, text string) string {
	var b strings.Builder
	for line := range strings.Lines(minimal) {
		if strings.HasPrefix(line, key+":") {
			line = text + "\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

func megaki(text string) string {
	return withLine("listeners", `listeners: {app: {megaki: {`+text+`}}}`)
}

func php(text string) string {
	return withLine("backends", `backends: {site: {php: {script: s.php, `+text+`}}}`)
}

func routes(text string) string { return withLine("routes", "routes: "+text) }

// TestErrors has the exact words and places of errors. Line 2 has the
// listeners, line 3 the backends, line 4 the routes, and what is added is
// in line 5.
func TestErrors(t *testing.T) {
	sections := shortList(keysOf(fieldsOf(reflect.TypeFor[Config]()), false))
	const quotes = "; look at the indentation, and put quotes around a value that has a colon or a bracket in it"
	for _, c := range []struct{ name, text, want string }{
		// The file as a whole.
		{"empty", "", "1:1: the file is empty; it needs listeners, backends and routes"},
		{"comments alone", "# nothing\n", "1:1: the file is empty; it needs listeners, backends and routes"},
		{"empty document", "---\n", "1:1: the file is empty; it needs listeners, backends and routes"},
		{"second document", minimal + "---\nx: 1\n", "5:1: a second YAML document starts here; a configuration is one document: take out the line ---"},
		{"a list", "- 1\n", "1:1: got a list; want keys with values, as in key: value"},
		{"a word", "hello\n", `1:1: got "hello"; want keys with values, as in key: value`},
		{"no keys", "{}\n", "1:1: listeners: the key is missing, and must be given\n1:1: routes: the key is missing, and must be given"},
		{"not YAML", minimal + "x: [1\n", "5:1: this isn't YAML: did not find expected ',' or ']'" + quotes},
		{"a colon", minimal + "x: y: z\n", "5:1: this isn't YAML: mapping values are not allowed in this context" + quotes},
		{"a tab", "listeners:\n\tapp:\n", "2:1: this isn't YAML: found character that cannot start any token; indent with spaces, not with tabs"},
		{"unknown anchor", minimal + "log: *x\n", "5:6: this isn't YAML: unknown anchor 'x' referenced"},
		{"not UTF-8", "a: 1\nb: \xff\n", "2:4: this isn't UTF-8; save the file as UTF-8"},
		{"control character", "a: ä\x01\n", "1:5: the character U+0001 isn't allowed in a YAML file; take it out"},

		// Keys.
		{"unknown key", minimal + "sesions: {}\n", `5:1: sesions: unknown key; did you mean "sessions"?`},
		{"unlike all", minimal + "cluster: {}\n", `5:1: cluster: unknown key; known here: ` + sections},
		{"odd key", minimal + "\"a b\": {}\n", `5:1: "a b": unknown key; known here: ` + sections},
		{"empty key", minimal + "\"\": {}\n", `5:1: "": unknown key; known here: ` + sections},
		{"key twice", minimal + "log: {level: info, level: warn}\n", "5:20: log.level: duplicate key; the first is in line 5, column 7"},
		{"name twice", withLine("listeners", "listeners: {app: {megaki: {address: ':1', keys: [k]}}, app: {}}"), "2:56: listeners.app: duplicate key; the first is in line 2, column 13"},
		{"merge key", minimal + "log: {<<: {level: info}}\n", "5:7: log.<<: merge keys aren't taken; write out the keys that are merged in"},
		{"list as key", minimal + "log: {[a]: b}\n", "5:7: log: got a list as a key; a key is a word"},
		{"mistyped and required", megaki(`adress: ":1", keys: [k]`), `2:28: listeners.app.megaki.adress: unknown key; did you mean "address"?`},
		{"required", megaki(``), "2:19: listeners.app.megaki.address: the key is missing, and must be given\n2:19: listeners.app.megaki.keys: the key is missing, and must be given"},
		{"tag", minimal + "log: {level: !!str info}\n", `5:14: log.level: the tag "!!str" isn't taken; write the value without it, in quotes if it is a string`},
		{"custom tag", minimal + "log: !Log {level: info}\n", `5:6: log: the tag "!Log" isn't taken; write the value without it, in quotes if it is a string`},
		{"tag of the root", "!x {}\n", `1:1: the tag "!x" isn't taken; write the value without it, in quotes if it is a string`},

		// Kinds and names.
		{"no kind", withLine("listeners", "listeners: {app: {}}"), "2:13: listeners.app: its kind is missing; it must have one of the keys: megaki, https, http"},
		{"two kinds", withLine("listeners", "listeners: {web: {http: {address: ':80'}, megaki: {address: ':1', keys: [k]}}}"), "2:43: listeners.web: it has both http and megaki; keep one of them"},
		{"no kind of a listener", withLine("listeners", "listeners: {web: {htps: {address: ':443'}}}"), `2:19: listeners.web.htps: unknown key; did you mean "https"?`},
		{"no such backend", withLine("backends", "backends: {site: {redis: {}}}"), "3:19: backends.site.redis: unknown key; known here: php, http, fastcgi, files"},
		{"FastCGI of nobody", withLine("backends", "backends: {site: {fastcgi: {root: some.dir}}}"), "3:28: backends.site.fastcgi: no server is given; set addresses to those of PHP-FPM, or spawn for a php-cgi of mkd's own"},
		{"name", withLine("backends", "backends: {site: {php: {script: s}}, 'a b': {php: {script: s}}}"), `3:38: backends."a b": a name has letters, digits, - and _ only, and 64 at most`},
		{"no entry", withLine("listeners", "listeners: {}"), "2:1: listeners: it is empty; it must have one entry at least"},
		{"no route", routes(""), "4:1: routes: it is empty; it must have one entry at least"},

		// Types.
		{"block wanted", minimal + "log: info\n", `5:6: log: got "info"; want keys with values, as in {level: info}`},
		{"map wanted", withLine("listeners", "listeners: [app]"), "2:12: listeners: got a list; want keys with values, as in key: value"},
		{"list wanted", megaki(`address: ":1", keys: server.key`), `2:49: listeners.app.megaki.keys: got "server.key"; want a list, as in [server.key]`},
		{"string wanted", megaki(`address: ":1", keys: [1]`), `2:50: listeners.app.megaki.keys[0]: got the number 1; want a string; put it in quotes`},
		{"a user's number", php("user: 1000"), "3:46: backends.site.php.user: got the number 1000; want a string; put it in quotes"},
		{"a date", php("user: 2020-01-01"), "3:46: backends.site.php.user: got the date 2020-01-01; want a string; put it in quotes"},
		{"no value", php("php: "), "3:45: backends.site.php.php: got no value; want a string"},
		{"empty", php("php: ''"), "3:45: backends.site.php.php: it is empty; give it a value, or leave the key out for php"},
		{"empty and required", megaki(`address: ":1", keys: ['']`), "2:50: listeners.app.megaki.keys[0]: it is empty; give it a value"},
		{"empty list", megaki(`address: ":1", keys: []`), "2:43: listeners.app.megaki.keys: it is empty; it must have one entry at least"},
		{"bool", minimal + "log: {access: yes}\n", `5:15: log.access: got "yes"; want true, false, or keys with values, as in {format: combined}`},
		{"whole number", minimal + "sessions: {capacity: many}\n", `5:22: sessions.capacity: got "many"; want a whole number`},
		{"hexadecimal", minimal + "sessions: {capacity: 0x10}\n", `5:22: sessions.capacity: got the number 0x10; want a whole number in plain digits, such as 10000`},
		{"octal", minimal + "sessions: {capacity: 010}\n", `5:22: sessions.capacity: got the number 010; want a whole number in plain digits, such as 10000`},
		{"fraction", minimal + "sessions: {capacity: 1.5}\n", `5:22: sessions.capacity: got the number 1.5; want a whole number in plain digits, such as 10000`},
		{"too small", minimal + "sessions: {capacity: 0}\n", "5:22: sessions.capacity: got the number 0; want 1 to 100000000"},
		{"too large", minimal + "sessions: {capacity: 99999999999999999999}\n", "5:22: sessions.capacity: got the number 99999999999999999999; the number is out of range"},
		{"not a number", megaki(`address: ":1", keys: [k], handshakes_per_ip: {rate: .nan}`), "2:80: listeners.app.megaki.handshakes_per_ip.rate: got the number .nan; want a number, such as 10 or 0.5"},
		{"one of", minimal + "log: {level: information}\n", `5:14: log.level: got "information"; want debug, info, warn or error`},
		{"one of, near", minimal + "log: {level: wran}\n", `5:14: log.level: got "wran"; want debug, info, warn or error; did you mean "warn"?`},
		{"a block for text", php("env: {A: {B: c}}"), `3:49: backends.site.php.env.A: got a block of keys; want a value, or {file: PATH} for one that a file has`},
		{"no text", php("env: {A: }"), `3:49: backends.site.php.env.A: got no value; want a string ("" for an empty one) or a number`},
		{"variable", php("env: {A=B: c}"), "3:46: backends.site.php.env.\"A=B\": a name can't have = or a line end in it"},
		{"setting", php(`ini: {a: "b\nc=d"}`), "3:46: backends.site.php.ini.a: a PHP setting can't have a line end in it"},
		{"setting's name", php(`ini: {"a;b": c}`), `3:46: backends.site.php.ini."a;b": a PHP setting has a plain name, as in opcache.enable`},
		{"NUL", php(`user: "a\0b"`), `3:46: backends.site.php.user: got "a\x00b"; a NUL isn't allowed`},

		// Durations and sizes.
		{"no unit", minimal + "shutdown_timeout: 30\n", "5:19: shutdown_timeout: got the number 30; the unit is missing; write 30s, or 30ms, 30m, 30h"},
		{"days", minimal + "sessions: {ttl: 7d}\n", `5:17: sessions.ttl: got "7d"; a day isn't a unit; write 168h`},
		{"no duration", minimal + "sessions: {ttl: long}\n", `5:17: sessions.ttl: got "long"; want a duration such as 500ms, 10s, 5m or 1h30m`},
		{"zero", minimal + "shutdown_timeout: 0\n", "5:19: shutdown_timeout: got the number 0; want 1ms to 24h"},
		{"negative", minimal + "shutdown_timeout: -5s\n", `5:19: shutdown_timeout: got "-5s"; want 1ms to 24h`},
		{"true", minimal + "shutdown_timeout: true\n", "5:19: shutdown_timeout: got true; want a duration such as 10s"},
		{"unit", minimal + "limits: {message_memory: 256MB}\n", `5:26: limits.message_memory: got "256MB"; the units of a size are B, KiB, MiB, GiB and TiB; did you mean 256MiB?`},
		{"short unit", minimal + "limits: {message_memory: 256m}\n", `5:26: limits.message_memory: got "256m"; the units of a size are B, KiB, MiB, GiB and TiB; did you mean 256MiB?`},
		{"strange unit", minimal + "limits: {message_memory: 3 bags}\n", `5:26: limits.message_memory: got "3 bags"; want a size such as 1MiB or 512KiB; its units are B, KiB, MiB, GiB and TiB`},
		{"fraction of a size", minimal + "limits: {message_memory: 1.5GiB}\n", `5:26: limits.message_memory: got "1.5GiB"; want a size such as 1MiB or 512KiB, in whole numbers`},
		{"overflow", minimal + "limits: {message_memory: 99999999TiB}\n", `5:26: limits.message_memory: got "99999999TiB"; the size is out of range`},
		{"large message", megaki(`address: ":1", keys: [k], max_message: 65MiB`), `2:67: listeners.app.megaki.max_message: got "65MiB"; want 1B to 64MiB`},

		// Addresses.
		{"no port", megaki(`address: 127.0.0.1, keys: [k]`), `2:37: listeners.app.megaki.address: got "127.0.0.1"; the port is missing; write 127.0.0.1:6363`},
		{"no port, IPv6", megaki(`address: "::1", keys: [k]`), `2:37: listeners.app.megaki.address: got "::1"; the port is missing; write [::1]:6363`},
		{"port alone", megaki(`address: 6363, keys: [k]`), `2:37: listeners.app.megaki.address: got the number 6363; want a string such as 127.0.0.1:6363; put it in quotes`},
		{"a port's name", megaki(`address: ":http", keys: [k]`), `2:37: listeners.app.megaki.address: got ":http"; the port must be a number from 0 to 65535`},
		{"high port", megaki(`address: ":65536", keys: [k]`), `2:37: listeners.app.megaki.address: got ":65536"; the port must be a number from 0 to 65535`},
		{"star", megaki(`address: "*:1", keys: [k]`), `2:37: listeners.app.megaki.address: got "*:1"; the host is neither an IP address nor a name; leave it empty for all addresses, as in :6363`},
		{"not an IP address", megaki(`address: "300.1.1.1:1", keys: [k]`), `2:37: listeners.app.megaki.address: got "300.1.1.1:1"; the host isn't an IP address`},
		{"taken", withLine("listeners", "listeners: {a: {megaki: {address: ':1', keys: [k]}}, b: {megaki: {address: ':1', keys: [k]}}}"), "2:76: listeners.b.megaki.address: the listener a has this address already; take another port"},

		// Files.
		{"no key", megaki(`address: ":1", keys: [k, missing.key]`), "2:53: listeners.app.megaki.keys[1]: missing.key doesn't exist; make it with mkd keygen --out missing.key"},
		{"no passphrase", megaki(`address: ":1", keys: [k], key_passphrase_file: /missing`), "2:75: listeners.app.megaki.key_passphrase_file: /missing doesn't exist"},
		{"no script", withLine("backends", "backends: {site: {php: {script: missing.php}}}"), "3:33: backends.site.php.script: missing.php doesn't exist; relative paths start at the folder of the configuration file"},
		{"a folder", withLine("backends", "backends: {site: {php: {script: some.dir}}}"), "3:33: backends.site.php.script: some.dir is a folder; want a file"},
		{"not a folder", php("dir: file"), "3:45: backends.site.php.dir: file isn't a folder"},
		{"denied", php("dir: 'denied folder'"), `3:45: backends.site.php.dir: can't read "denied folder": permission denied`},
		{"no php", php("php: ./missing"), "3:45: backends.site.php.php: ./missing doesn't exist; relative paths start at the folder of the configuration file"},

		// Fields against each other.
		{"workers", php("workers: {min: 5, max: 4}"), "3:55: backends.site.php.workers.min: min is 5, more than max, which is 4"},
		{"ceiling", php("memory_limit: 128MiB, memory_ceiling: 64MiB"), "3:78: backends.site.php.memory_ceiling: memory_ceiling is 64MiB, less than memory_limit, which is 128MiB; lower memory_limit too"},
		{"ini", php("ini: {memory_limit: 1G}"), "3:45: backends.site.php.ini: PHP's memory_limit is set by memory_ceiling here; give that instead"},
		{"limit", php("memory_limit: 1GiB"), "3:54: backends.site.php.memory_limit: memory_ceiling is 256MiB, less than memory_limit, which is 1GiB; raise memory_ceiling too"},
		{"memory", megaki(`address: ":1", keys: [k], max_message: 2MiB`) + "limits: {message_memory: 4MiB}\n", "5:26: limits.message_memory: got 4MiB; want 5MiB at least: twice the largest max_message, 2MiB, and 1MiB"},
		{"backend", routes("[{backend: siet}]"), `4:20: routes[0].backend: there is no backend "siet"; did you mean "site"?`},
		{"no backends", withLine("backends", "#"), `4:20: routes[0].backend: there is no backend "site"; there are none`},
		{"backends misspelt", withLine("backends", "backend: {}"), `3:1: backend: unknown key; did you mean "backends"?`},
		{"listener", routes("[{match: {listeners: [app, web]}, backend: site}]"), `4:36: routes[0].match.listeners[1]: there is no listener "web"; known here: app`},
		{"auto in a match", routes("[{match: {payload: auto}, backend: site}]"), `4:28: routes[0].match.payload: got "auto"; want http or raw`},

		// Aliases.
		{"inside of itself", minimal + "log: &x {level: info, format: *x}\n", "5:31: log.format: the alias *x is inside of what it names; write the value out"},
		{"deep inside of itself", withLine("listeners", "listeners: &x {app: {megaki: *x}}"), "2:30: listeners.app.megaki: the alias *x is inside of what it names; write the value out"},
		{"key inside of itself", minimal + "log: &x {*x : info}\n", "5:10: log: got a block of keys as a key; a key is a word"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantErrors(t, c.text, c.want)
		})
	}
}

// wantErrors checks the errors of a text, without the file's name.
func wantErrors(t *testing.T, text, want string) {
	t.Helper()
	cfg, err := parse("config.yaml", []byte(text), ".", fakeStat)
	if err == nil {
		t.Fatalf("no error in\n%s\nbut %+v", text, cfg)
	}
	wantLines(t, text, err.(Errors), want)
}

// wantWarnings is wantErrors for warnings.
func wantWarnings(t *testing.T, text, want string) {
	t.Helper()
	wantLines(t, text, mustParse(t, text).Warnings, want)
}

func wantLines(t *testing.T, text string, errs []Error, want string) {
	t.Helper()
	var lines []string
	for _, e := range errs {
		lines = append(lines, strings.TrimPrefix(e.Error(), "config.yaml:"))
	}
	if have := strings.Join(lines, "\n"); have != want {
		t.Errorf("have %s\nwant %s\nin\n%s", have, want, text)
	}
}

// TestAllErrorsAtOnce: one error hides no other, and makes no other.
func TestAllErrorsAtOnce(t *testing.T) {
	_, err := parse("conf/config.yaml", []byte(`
log: {level: loud}
listeners:
  app:
    megaki: {adress: ":1", keys: [missing.key], max_message: 1MB}
backends:
  site:
    php: {workers: {min: many, max: 1}, memory_ceiling: [1]}
  spare: {redis: {}}
routes:
  - backend: stie
    <<: x
`), ".", fakeStat)
	const want = `the configuration has 10 errors:
conf/config.yaml:2:14: log.level: got "loud"; want debug, info, warn or error
conf/config.yaml:5:14: listeners.app.megaki.adress: unknown key; did you mean "address"?
conf/config.yaml:5:35: listeners.app.megaki.keys[0]: missing.key doesn't exist; make it with mkd keygen --out missing.key
conf/config.yaml:5:62: listeners.app.megaki.max_message: got "1MB"; the units of a size are B, KiB, MiB, GiB and TiB; did you mean 1MiB?
conf/config.yaml:8:5: backends.site.php.script: the key is missing, and must be given
conf/config.yaml:8:26: backends.site.php.workers.min: got "many"; want a whole number
conf/config.yaml:8:57: backends.site.php.memory_ceiling: got a list; want a size such as 1MiB
conf/config.yaml:9:11: backends.spare.redis: unknown key; known here: php, http, fastcgi, files
conf/config.yaml:11:14: routes[0].backend: there is no backend "stie"; did you mean "site"?
conf/config.yaml:12:5: routes[0].<<: merge keys aren't taken; write out the keys that are merged in`
	if have := fmt.Sprint(err); have != want {
		t.Errorf("have %s\nwant %s", have, want)
	}
}

func TestWarnings(t *testing.T) {
	two := "listeners: {a: {megaki: {address: ':1', keys: [k]}}, b: {megaki: {address: ':2', keys: [k], payload: raw}}}"
	for _, c := range []struct{ name, text, want string }{
		{"none", minimal, ""},
		{"open key", megaki(`address: ":1", keys: [open.key]`), "2:50: listeners.app.megaki.keys[0]: open.key can be read by others than its owner; chmod 600 it"},
		{"open passphrase", megaki(`address: ":1", keys: [k], key_passphrase_file: open`), "2:75: listeners.app.megaki.key_passphrase_file: open can be read by others than its owner; chmod 600 it"},
		{"no bound of one client", megaki(`address: ":1", keys: [k], max_connections: 5, max_connections_per_ip: 5`),
			"2:98: listeners.app.megaki.max_connections_per_ip: it has no effect: max_connections is 5"},
		{"burst", megaki(`address: ":1", keys: [k], handshakes_per_ip: {burst: 5}`), "2:81: listeners.app.megaki.handshakes_per_ip.burst: it has no effect without a rate, so handshakes aren't limited; set rate too"},
		{"unused", withLine("backends", "backends: {site: {php: {script: s}}, spare: {php: {script: s}}}"), "3:38: backends.spare: no route uses this backend"},
		{"raw alone", routes("[{match: {payload: raw}, backend: site}]"), ""},
		{"raw and http", routes("[{match: {payload: raw}, backend: site}, {backend: site}]"), ""},
		{"http twice", routes("[{match: {payload: http}, backend: site}, {backend: site}]"), "4:51: routes[1]: this route never matches: the routes above it match all that it would"},
		{"listeners together take all", strings.Replace(routes("[{match: {listeners: [a]}, backend: site}, {match: {payload: raw}, backend: site}, {match: {listeners: [a]}, backend: site}]"),
			minimal[1:strings.Index(minimal[1:], "\n")+1], two, 1), "4:92: routes[2]: this route never matches: the routes above it match all that it would"},
		{"no such payload", strings.Replace(routes("[{match: {payload: raw}, backend: site}, {match: {listeners: [b]}, backend: site}]"),
			minimal[1:strings.Index(minimal[1:], "\n")+1], two, 1), "4:50: routes[1]: this route never matches: its listeners get no messages of payload http"},
		{"no route", strings.Replace(minimal, minimal[1:strings.Index(minimal[1:], "\n")+1], two, 1),
			"2:54: listeners.b: no route handles requests from this listener; a route handles raw messages only if it has match: {payload: raw}, or raw"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantWarnings(t, c.text, c.want)
		})
	}
}

// bombs are small files that a careless reader makes large.
func bombs() map[string]string {
	lists := "a0: &a0 [x, x]\n"
	for i := 1; i < 40; i++ {
		lists += fmt.Sprintf("a%d: &a%d [*a%d, *a%d]\n", i, i, i-1, i-1)
	}
	const many = 1000 // squared, more than maxNodes
	return map[string]string{
		"lists of lists": minimal + lists,
		"routes times names": withLine("routes", "routes:\n  - &r {backend: site, match: {listeners: [app"+strings.Repeat(", app", many)+"]}}\n"+
			strings.Repeat("  - *r\n", many)),
		"listeners times keys": withLine("listeners", "listeners:\n  a: &a {megaki: {address: ':0', keys: [k"+strings.Repeat(", k", many)+"]}}\n"+
			func() (s string) {
				for i := range many {
					s += fmt.Sprintf("  a%d: *a\n", i)
				}
				return s
			}()),
		"unknown names": withLine("routes", "routes:\n"+strings.Repeat("  - {backend: sietsietsiet}\n", 4000)),
		"unknown keys": minimal + func() string {
			var b strings.Builder
			for i := range maxNodes {
				fmt.Fprintf(&b, "listener%d: 1\n", i)
			}
			return b.String()
		}(),
		"deep":        "log: " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"too deep":    "log: " + strings.Repeat("[", 500000),
		"deep blocks": strings.Repeat("? ", 300000),
		"wide":        "routes: [" + strings.Repeat(",", 100000) + "]",
		"wide values": "routes: [" + strings.Repeat("a,", maxNodes+1) + "]",
	}
}

func TestBombs(t *testing.T) {
	for name, text := range bombs() {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := parse("config.yaml", []byte(text), ".", fakeStat)
			if err == nil {
				t.Fatal("no error")
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("it took %v", took)
			}
			if len(err.Error()) > 200*maxShown {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			t.Logf("%v: %.200v", time.Since(start), err)
		})
	}
}

// TestListenersBesideEachOther: what can't listen beside another listener is an
// error of the check, not of the start.
func TestListenersBesideEachOther(t *testing.T) {
	const (
		same   = "the listener a has this address already; take another port"
		behind = "the listener a has this port on all addresses already; take another port, or give a an address of its own"
		before = "the listener a has this port on %s already; take another port, or give this listener an address of its own"
	)
	for _, c := range []struct{ a, b, want string }{
		{"127.0.0.1:1", "127.0.0.2:1", ""},
		{"127.0.0.1:1", "127.0.0.1:2", ""},
		{"127.0.0.1:1", "[::1]:1", ""},
		{":0", ":0", ""},
		{"127.0.0.1:1", "[::ffff:127.0.0.1]:1", same},
		{"[::1]:1", "[0:0:0:0:0:0:0:1]:1", same},
		{"localhost:1", "LocalHost:1", same},
		{":1", "0.0.0.0:1", same},
		{":1", "[::]:1", same},
		{":1", "127.0.0.1:1", behind},
		{"0.0.0.0:1", "[::1]:1", behind},
		{"[::]:1", "example.org:1", behind},
		{"127.0.0.1:1", ":1", fmt.Sprintf(before, "127.0.0.1")},
		{"[::1]:1", "0.0.0.0:1", fmt.Sprintf(before, "::1")},
	} {
		text := withLine("listeners", "listeners: {a: {http: {address: '"+c.a+"'}}, b: {http: {address: '"+c.b+"'}}}")
		_, err := parse("config.yaml", []byte(text), ".", fakeStat)
		have := ""
		if err != nil {
			_, have, _ = strings.Cut(err.Error(), "listeners.b.http.address: ")
		}
		if have != c.want {
			t.Errorf("%s beside %s: %q, want %q", c.b, c.a, have, c.want)
		}
	}
}

// TestExposed: a site's folder that the configuration lies in is a warning, unless the
// file is hidden.
func TestExposed(t *testing.T) {
	const exposed = "clients can read the configuration, which lies there as "
	for _, c := range []struct{ file, backend, want string }{
		{"site.dir/config.yaml", "files: {root: ../site.dir}", exposed + "config.yaml"},
		{"site.dir/etc/config.yaml", "files: {root: ../../site.dir}", exposed + "etc/config.yaml"},
		{"site.dir/config.yaml", "php: {script: s, public: ../site.dir}", exposed + "config.yaml"},
		{"site.dir/config.yaml", "fastcgi: {root: ../site.dir, spawn: {}}", exposed + "config.yaml"},
		{"site.dir/config.yaml", "files: {root: public.dir}", ""},
		{"site.dir/config.yaml", "php: {script: s}", ""},
		{"site.dir/.mkd/config.yaml", "files: {root: ../../site.dir}", ""},
		{"site.dir/config.yaml", "files: {root: ../site.dir, hide: ['*.YAML']}", ""},
	} {
		cfg, err := parse(c.file, []byte(withLine("backends", "backends: {site: {"+c.backend+"}}")), filepath.Dir(c.file), fakeStat)
		if err != nil {
			t.Errorf("%s: %v", c.backend, err)
			continue
		}
		if n := len(cfg.Warnings); (n > 0) != (c.want != "") || n > 1 || n == 1 && !strings.Contains(cfg.Warnings[0].Error(), c.want+";") {
			t.Errorf("%s, %s: %v, want %q", c.file, c.backend, cfg.Warnings, c.want)
		}
	}
}
