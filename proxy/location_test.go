package proxy

import (
	"io"
	"net/http"
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
