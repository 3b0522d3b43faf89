package config

import "testing"

func TestAuthErrors(t *testing.T) {
	const raw = "a route with auth takes no raw messages, which can't prove who sent them; remove this, or give raw messages a route of their own"
	for _, c := range []struct{ name, text, want string }{
		{"no kind", "[{auth: {}, backend: site}]", "4:11: routes[0].auth: its kind is missing; it must have one of the keys: basic, forward, jwt"},
		{"two kinds", "[{auth: {basic: {users_file: k}, forward: {url: 'http://a/'}}, backend: site}]", "4:42: routes[0].auth: it has both basic and forward; keep one of them"},
		{"no file", "[{auth: {basic: {}}, backend: site}]", "4:18: routes[0].auth.basic.users_file: the key is missing, and must be given"},
		{"realm", `[{auth: {basic: {users_file: k, realm: 'a"b'}}, backend: site}]`, `4:48: routes[0].auth.basic.realm: got "a\"b"; want plain letters, without " and \`},
		{"no URL", "[{auth: {forward: {url: 'a:1'}}, backend: site}]", `4:33: routes[0].auth.forward.url: got "a:1"; want an address, as in https://example.org/directory`},
		{"copied field", "[{auth: {forward: {url: 'http://a', copy: [Remote_User]}}, backend: site}]", "4:52: routes[0].auth.forward.copy[0]: a field with _ or . in its name isn't passed on; write - instead"},
		{"copied twice", "[{auth: {forward: {url: 'http://a', copy: [X-A, x-a]}}, backend: site}]", "4:57: routes[0].auth.forward.copy[1]: x-a is a duplicate; take one out"},
		{"no keys", "[{auth: {jwt: {issuer: a, audience: b}}, backend: site}]", "4:23: routes[0].auth.jwt: where are the keys of the issuer? Give jwks, or key"},
		{"two sources of keys", "[{auth: {jwt: {issuer: a, audience: b, key: k, jwks: 'http://a'}}, backend: site}]", "4:53: routes[0].auth.jwt.key: it has both jwks and key; keep one of them"},
		{"no audience", "[{auth: {jwt: {issuer: a, key: k}}, backend: site}]", "4:18: routes[0].auth.jwt.audience: the key is missing, and must be given"},
		{"two fields Authorization", "[{auth: {basic: {users_file: k}}, routes: [{match: {paths: [/a]}, backend: site}, {auth: {jwt: {issuer: a, audience: b, key: k}}, backend: site}]}]", "4:104: routes[0].routes[1].auth.jwt: no request could pass: auth.basic of the route around it needs another field Authorization; keep one of them, or put one on a route beside the other"},
		{"a field between", "[{auth: {jwt: {issuer: a, audience: b, key: k}}, routes: [{auth: {forward: {url: 'http://a', copy: [X-A]}}, routes: [{auth: {basic: {users_file: k}}, backend: site}]}]}]", "4:141: routes[0].routes[0].routes[0].auth.basic: no request could pass: auth.jwt of the route around it needs another field Authorization; keep one of them, or put one on a route beside the other"},
		{"raw messages", "[{match: {payload: raw}, auth: {basic: {users_file: k}}, backend: site}]", "4:28: routes[0].match.payload: " + raw},
		{"raw block inside", "[{auth: {basic: {users_file: k}}, routes: [{raw: {}, backend: site}]}]", "4:58: routes[0].routes[0].raw: " + raw},
	} {
		t.Run(c.name, func(t *testing.T) { wantErrors(t, routes(c.text), c.want) })
	}
}

func TestAuthWarnings(t *testing.T) {
	const jwt = "{issuer: a, audience: b, jwks: '"
	for address, want := range map[string]string{
		"https://id.example.org/keys": "",
		"http://127.0.0.1:8080/keys":  "",
		"http://[::1]/keys":           "",
		"http://localhost/keys":       "",
		"http://id.example.org/keys":  "4:54: routes[0].auth.jwt.jwks: the keys come by http, so that whoever sits between could sign tokens of its own; use https",
	} {
		wantWarnings(t, routes("[{auth: {jwt: "+jwt+address+"'}}, backend: site}]"), want)
	}
}
