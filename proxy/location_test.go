package proxy

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestLocationThroughListeners: the same with real upstreams.
func TestLocationThroughListeners(t *testing.T) {
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Location", "http://"+r.Host+"/next")
		h.Set("Refresh", "5; url=/again")
		h.Set("Set-Cookie", "a=b; Path=/; Domain="+strings.Split(r.Host, ":")[0])
		w.WriteHeader(302)
		io.WriteString(w, "moved")
	})
	p, _ := allListeners(t, `
backends:
  own: {http: {upstreams: [{url: `+rec.URL+`}], host: upstream}}
  cookies: {http: {upstreams: [{url: `+rec.URL+`}], host: upstream, rewrite_cookies: true}}
  passed: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - {match: {paths: [/own/*]}, strip_prefix: /own, backend: own}
  - {match: {paths: [/cookies/*]}, strip_prefix: /cookies, backend: cookies}
  - {match: {paths: ["/a b/*"]}, strip_prefix: "/a b", backend: cookies}
  - {match: {paths: [/set/*]}, strip_prefix: /set, headers: {request: {set: {Host: inner.test}}}, backend: passed}
  - {match: {paths: [/kept/*]}, strip_prefix: /kept, headers: {request: {set: {Host: inner.test}}}, backend: own}
  - {match: {paths: [/passed/*]}, strip_prefix: /passed, backend: passed}
  - backend: passed
`)
	const host = "127.0.0.1"
	for _, way := range everyWay {
		for target, want := range map[string][3]string{
			"/own/x":     {"/own/next", "5; url=/own/again", "a=b; Path=/; Domain=" + host},
			"/cookies/x": {"/cookies/next", "5; url=/cookies/again", "a=b; Path=/cookies"},
			"/a%20b/x":   {"/a%20b/next", "5; url=/a%20b/again", "a=b; Path=/a%20b"},
			"/set/x":     {"/set/next", "5; url=/set/again", "a=b; Path=/; Domain=inner.test"},
			"/kept/x":    {"/kept/next", "5; url=/kept/again", "a=b; Path=/; Domain=inner.test"}, // host: upstream overrode it
			"/passed/x":  {"http://public.test/passed/next", "5; url=/passed/again", "a=b; Path=/; Domain=public.test"},
			"/x":         {"http://public.test/next", "5; url=/again", "a=b; Path=/; Domain=public.test"},
		} {
			g := way.send(t, p, &asked{method: "GET", target: target, fields: []string{"Host: public.test"}})
			have := [3]string{g.header.Get("Location"), g.header.Get("Refresh"), g.header.Get("Set-Cookie")}
			if g.status != 302 || have != want {
				t.Errorf("%s: %s: %d %q, want %q", way.name, target, g.status, have, want)
			}
		}
	}
}

// TestLocationAsNginx compares where mkd and nginx with its default proxy_redirect lead a
// client. Where mkd leads elsewhere, the table has the reason.
func TestLocationAsNginx(t *testing.T) {
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(r.URL.Query().Get("field"), r.URL.Query().Get("to"))
		w.WriteHeader(302)
	})
	up := strings.TrimPrefix(rec.URL, "http://")
	nginx := startNginxProxy(t, rec.URL, "location /own/ { proxy_pass "+rec.URL+"/; }", nil)
	p, _ := start(t, load(t, `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
backends:
  own: {http: {upstreams: [{url: `+rec.URL+`}], host: upstream}}
  passed: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - {match: {paths: [/own/*]}, strip_prefix: /own, backend: own}
  - backend: passed
`))
	const reveals = "nginx leads to the upstream, or past the prefix, where its client gets nothing"
	for _, c := range []struct{ target, to, nginx, mkd, why string }{
		{"/own/x", "http://UP/next", "/own/next", "", ""},
		{"/own/x", "http://UP/", "/own/", "", ""},
		{"/own/x", "http://UP/next?a=b#c", "/own/next?a=b#c", "", ""},
		{"/own/x", "http://UP/own/next", "/own/own/next", "/own/next", "a path that has the prefix already is meant for the client: the upstream knows of it"},
		{"/own/x", "http://UP", "http://UP", "/own/", reveals},
		{"/own/x", "https://UP/next", "https://UP/next", "/own/next", reveals},
		{"/own/x", "//UP/next", "http://UP/next", "/own/next", reveals},
		{"/own/x", "/next", "/next", "/own/next", reveals},
		{"/own/x", "/own/next", "/own/next", "", ""},
		{"/own/x", "next", "/own/next", "", ""},
		{"/own/x", "../next", "/next", "", ""},
		{"/own/x", "?page=2", "/own/x?page=2", "", ""},
		{"/own/x", "https://elsewhere.test/next", "https://elsewhere.test/next", "", ""},
		{"/own/x", "http://UP.elsewhere.test/next", "http://UP.elsewhere.test/next", "", ""},
		{"/x", "http://UP/next", "/next", "", ""},
		{"/x", "/next", "/next", "", ""},
		{"/x", "http://public.test/next", "/next", "", ""},
		{"/x", "https://public.test/next", "https://public.test/next", "", ""},
	} {
		wantMkd := c.mkd
		if wantMkd == "" {
			wantMkd = c.nginx
		} else if c.why == "" {
			t.Errorf("%s %s: the difference has no reason", c.target, c.to)
		}
		for field, value := range map[string]string{"Location": c.to, "Refresh": "5; url=" + c.to} {
			target := c.target + "?" + url.Values{"field": {field}, "to": {strings.ReplaceAll(value, "UP", up)}}.Encode()
			for name, server := range map[string]struct{ address, want string }{"nginx": {nginx, c.nginx}, "mkd": {p.Addr("web").String(), wantMkd}} {
				conn, err := net.Dial("tcp", server.address)
				if err != nil {
					t.Fatal(err)
				}
				g := sendHTTP1(t, conn, &asked{method: "GET", target: target, fields: []string{"Host: public.test", "Connection: close"}})
				have := strings.TrimPrefix(g.header.Get(field), "5; url=")
				base := url.URL{Scheme: "http", Host: "public.test", Path: c.target}
				if to, err := base.Parse(have); err == nil { // where the client goes
					have = strings.TrimPrefix(to.String(), "http://public.test")
				}
				if have = strings.ReplaceAll(have, up, "UP"); have != server.want {
					t.Errorf("%s: %s: %s: %q leads to %q, want %q", name, c.target, field, c.to, have, server.want)
				}
			}
		}
	}
}
