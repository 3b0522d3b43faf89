package route

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"mkd/config"
	"mkd/proxy/request"
)

// TestOriginCovers: a pattern is for the hosts below its own, by the same scheme and port.
func TestOriginCovers(t *testing.T) {
	for _, c := range []struct {
		allowed, origin string
		want            bool
	}{
		{"https://example.org", "https://example.org", true},
		{"https://example.org", "https://example.org.evil.example", false},
		{"https://example.org", "http://example.org", false},
		{"https://*.example.org", "https://a.example.org", true},
		{"https://*.example.org", "https://a.b.example.org", true},
		{"https://*.example.org", "https://example.org", false},
		{"https://*.example.org", "https://.example.org", false},
		{"https://*.example.org", "https://evilexample.org", false},
		{"https://*.example.org", "http://a.example.org", false},
		{"https://*.example.org", "https://a.example.org:8443", false},
		{"https://*.example.org:8443", "https://a.example.org:8443", true},
		{"https://*.example.org", "https://evil.example/.example.org", false},
		{"https://*.example.org", "https://evil.example:1.example.org", false},
		{"https://*.example.org", "https://me@evil.example.org", false},
		{"https://*.example.org", "null", false},
	} {
		if originCovers(c.allowed, c.origin) != c.want {
			t.Errorf("%s covers %s: %v", c.allowed, c.origin, !c.want)
		}
	}
}

// TestCORSFields: a response has the fields of the configuration, and no others.
func TestCORSFields(t *testing.T) {
	const page = "https://a.example"
	for _, c := range []struct {
		name   string
		config config.CORS
		origin []string
		want   http.Header
	}{
		{"allowed", config.CORS{Origins: []string{page}}, []string{page}, http.Header{"Access-Control-Allow-Origin": {page}, "Vary": {"Origin"}}},
		{"another", config.CORS{Origins: []string{page}, Credentials: true, Expose: []string{"X"}}, []string{"https://b.example"}, http.Header{"Vary": {"Origin"}}},
		{"none", config.CORS{Origins: []string{page}}, nil, http.Header{"Vary": {"Origin"}}},
		{"two", config.CORS{Origins: []string{page}}, []string{page, page}, http.Header{"Vary": {"Origin"}}},
		{"any", config.CORS{Origins: []string{"*"}}, []string{page}, http.Header{"Access-Control-Allow-Origin": {"*"}}},
		{"any, without one", config.CORS{Origins: []string{"*"}}, nil, http.Header{"Access-Control-Allow-Origin": {"*"}}},
		{"all", config.CORS{Origins: []string{page}, Credentials: true, Expose: []string{"X", "Y"}}, []string{page}, http.Header{"Access-Control-Allow-Origin": {page},
			"Access-Control-Allow-Credentials": {"true"}, "Access-Control-Expose-Headers": {"X, Y"}, "Vary": {"Origin"}}},
	} {
		cors := newCORS(&c.config)
		h := http.Header{"Access-Control-Allow-Origin": {"*"}, "Access-Control-Allow-Credentials": {"true"}} // of the backend
		cors.set(h, cors.origin(http.Header{"Origin": c.origin}))
		if len(h) != len(c.want) {
			t.Errorf("%s: %v, want %v", c.name, h, c.want)
		}
		for name, lines := range c.want {
			if !slices.Equal(h[name], lines) {
				t.Errorf("%s: %v, want %v", c.name, h, c.want)
			}
		}
	}
}

// TestIsPreflight: only what a browser sends before another request is a preflight, which no
// guard sees.
func TestIsPreflight(t *testing.T) {
	for _, c := range []struct {
		method, fields string
		raw, want      bool
	}{
		{"OPTIONS", "both", false, true},
		{"OPTIONS", "both", true, false},
		{"GET", "both", false, false},
		{"OPTIONS", "origin", false, false},
		{"OPTIONS", "method", false, false},
		{"OPTIONS", "", false, false},
	} {
		h := httptest.NewRequest(c.method, "/", nil)
		if c.fields == "both" || c.fields == "origin" {
			h.Header.Set("Origin", "https://a.example")
		}
		if c.fields == "both" || c.fields == "method" {
			h.Header.Set("Access-Control-Request-Method", "PUT")
		}
		if got := isPreflight(&request.Request{Request: h, Raw: c.raw}); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
