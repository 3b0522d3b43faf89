package config

import "testing"

func TestCORSErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no origins", "[{cors: {}, backend: site}]", "4:11: routes[0].cors.origins: the key is missing, and must be given"},
		{"a path", "[{cors: {origins: ['https://a.b/']}, backend: site}]", `4:28: routes[0].cors.origins[0]: got "https://a.b/"; want an origin, as in https://app.example.org, without a path`},
		{"no scheme", "[{cors: {origins: [a.b]}, backend: site}]", `4:28: routes[0].cors.origins[0]: got "a.b"; want an origin, as in https://app.example.org, without a path`},
		{"a star", "[{cors: {origins: ['https://a.*.b']}, backend: site}]", `4:28: routes[0].cors.origins[0]: got "https://a.*.b"; a * is allowed only at the front of the host, as in https://*.example.org`},
		{"the usual port", "[{cors: {origins: ['https://a.b:443']}, backend: site}]", `4:28: routes[0].cors.origins[0]: got "https://a.b:443"; browsers leave out the port of the scheme; remove it`},
		{"all with credentials", "[{cors: {origins: ['*'], credentials: true}, backend: site}]", "4:47: routes[0].cors.credentials: with credentials, origins can't be *: any page could act as its visitor; list the origins"},
		{"all fields with credentials", "[{cors: {origins: ['https://a.b'], headers: ['*'], credentials: true}, backend: site}]", "4:53: routes[0].cors.headers: with credentials, * isn't all fields for browsers; list them"},
		{"no field of a limit", "[{rate_limit: {rate: 1, by: header}, backend: site}]", "4:37: routes[0].rate_limit.by: which field? Give header too, as in header: X-Api-Key"},
		{"a field of another limit", "[{rate_limit: {rate: 1, header: X-A}, backend: site}]", "4:41: routes[0].rate_limit.header: it has no effect without by: header"},
	} {
		t.Run(c.name, func(t *testing.T) { wantErrors(t, routes(c.text), c.want) })
	}
}
