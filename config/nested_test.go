package config

import (
	"strings"
	"testing"
	"time"
)

// TestNestedRoutes: routes inside of others have their options, unless they set their
// own.
func TestNestedRoutes(t *testing.T) {
	cfg := mustParse(t, routes(`
  - match: {paths: [/shop/*]}
    timeout: 5s
    max_body: 1MiB
    compress: true
    routes:
      - {match: {paths: [/shop/pay]}, timeout: 9s, compress: false, backend: site}
      - {name: rest, backend: site, max_body: 2MiB}
  - {backend: site}
`))
	var names []string
	for _, index := range cfg.EachRoute() {
		names = append(names, index)
	}
	if want := []string{"routes[0]", "routes[0].routes[0]", "routes[0].routes[1]", "routes[1]"}; len(names) != len(want) || names[2] != want[2] || names[3] != want[3] {
		t.Errorf("the routes are %v, want %v", names, want)
	}
	pay, rest, other := cfg.Routes[0].Routes[0], cfg.Routes[0].Routes[1], cfg.Routes[1]
	if pay.Timeout != 9*time.Second || pay.MaxBody != MiB || pay.Compress.Enabled {
		t.Errorf("the first has %v, %v, %v", pay.Timeout, pay.MaxBody, pay.Compress)
	}
	if rest.Timeout != 5*time.Second || rest.MaxBody != 2*MiB || !rest.Compress.Enabled {
		t.Errorf("the second has %v, %v, %v", rest.Timeout, rest.MaxBody, rest.Compress)
	}
	if other.Timeout != 0 || other.Compress != nil {
		t.Errorf("a route outside has %v, %v", other.Timeout, other.Compress)
	}
	if len(cfg.Warnings) > 0 {
		t.Errorf("warnings: %v", cfg.Warnings)
	}
}

func TestNestedErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", "[{routes: []}]", "4:19: routes[0].routes: it is empty; it must have one route at least"},
		{"two kinds", "[{backend: site, routes: [{backend: site}]}]", "4:26: routes[0]: it has both backend and routes; keep one of them"},
		{"no kind inside", "[{routes: [{name: a}]}]", "4:20: routes[0].routes[0]: its kind is missing; it must have one of the keys: backend, redirect, respond, routes"},
		{"unknown backend inside", "[{routes: [{backend: sito}]}]", `4:30: routes[0].routes[0].backend: there is no backend "sito"; did you mean "site"?`},
		{"one name", "[{name: a, routes: [{name: a, backend: site}]}]", "4:36: routes[0].routes[0].name: routes[0] has this name already; use another"},
		{"regexp", "[{match: {path_regexp: '(a'}, backend: site}]", `4:32: routes[0].match.path_regexp: got "(a"; it isn't a regular expression of RE2: missing closing ): "(a"`},
		{"lookahead", "[{match: {path_regexp: '^/(?!a)'}, backend: site}]", `4:32: routes[0].match.path_regexp: got "^/(?!a)"; "(?!" isn't in RE2, whose expressions take linear time: there is no lookahead, lookbehind or backreference; use not for what must not match`},
		{"two groups", "[{match: {path_regexp: '(?P<a>x)(?P<a>y)'}, backend: site}]", `4:32: routes[0].match.path_regexp: got "(?P<a>x)(?P<a>y)"; it has two groups named a; give each a name of its own`},
		{"empty not", "[{match: {not: {}}, backend: site}]", "4:24: routes[0].match.not: it has no condition, so that no request matches; give it one, or remove it"},
		{"not a condition", "[{match: {not: {listeners: [app]}}, backend: site}]", "4:25: routes[0].match.not.listeners: unknown key; known here: hosts, paths, path_regexp, query, methods, headers, from"},
	} {
		t.Run(c.name, func(t *testing.T) { wantErrors(t, routes(c.text), c.want) })
	}
}

func TestNestedWarnings(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"above it", "[{match: {paths: [/a/*]}, routes: [{backend: site}, {match: {paths: [/a/b]}, backend: site}]}]",
			"4:61: routes[0].routes[1]: this route never matches: the routes above it match all that it would"},
		{"paths aren't relative", "[{match: {paths: [/a/*]}, routes: [{match: {paths: [/b]}, backend: site}]}]",
			"4:44: routes[0].routes[0]: this route never matches: no path of it is one of the route around it; paths are whole paths here too"},
		{"a payload that doesn't come", "[{match: {payload: http}, routes: [{match: {payload: raw}, backend: site}]}]",
			"4:44: routes[0].routes[0]: this route never matches: the route around it has no such requests"},
		{"below a route that takes all", "[{routes: [{match: {paths: [/a]}, backend: site}]}, {backend: site}]",
			"4:61: routes[1]: this route never matches: the routes above it match all that it would"},
	} {
		t.Run(c.name, func(t *testing.T) { wantWarnings(t, routes(c.text), c.want) })
	}
}

// TestNestedDeeply: routes inside of routes have a bound, so that a short file can't
// take long to read.
func TestNestedDeeply(t *testing.T) {
	nested := func(n int) error {
		_, err := parse("config.yaml", []byte("listeners: {app: {megaki: {address: ':1', keys: [k]}}}\nroutes: "+
			strings.Repeat("[{routes: ", n)+"[{respond: {}}]"+strings.Repeat("}]", n)+"\n"), ".", fakeStat)
		return err
	}
	if err := nested(40); err != nil {
		t.Error(err)
	}
	if err := nested(4000); err == nil || !strings.Contains(err.Error(), "more than 100 blocks and lists are around it") {
		t.Errorf("have %v", err)
	}
}
