package route

import (
	"net/http"
	"strings"
	"testing"

	"mkd/config"
	"mkd/proxy/forward"
	"mkd/proxy/httpmsg"
	"mkd/proxy/request"
)

// FuzzRoutes has requests of all shapes meet a route that denies a path. What
// gets past it can't be that path to any server behind.
func FuzzRoutes(f *testing.F) {
	for _, target := range []string{"/", "/admin", "/admin/x", "/x/../admin/", "//admin", "/%61dmin/x", "/x%2f..%2fadmin", "/..;/admin", "/admin%00", "/a?b#c", "/%2e%2e/admin", "\\admin"} {
		f.Add(target, "example.org")
	}
	deny := newPaths(&config.Conditions{Paths: []string{"/admin/*"}})
	hosts := match{hosts: []string{"example.org", ".example.org"}}
	f.Fuzz(func(t *testing.T, target, host string) {
		h, err := httpmsg.ParseRequest([]byte("GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n"), httpmsg.Limits{})
		if err != nil {
			return
		}
		r := &request.Request{Request: h}
		s := &Handler{clients: new(forward.Clients)}
		if s.admit(r) != nil {
			return
		}
		forwarded := r.URL.RequestURI()
		if again, err := httpmsg.ParseRequest([]byte("GET "+forwarded+" HTTP/1.1\r\nHost: example.org\r\n\r\n"), httpmsg.Limits{}); err != nil || again.URL.EscapedPath() != r.URL.EscapedPath() {
			t.Fatalf("%q is forwarded as %q: %v", target, forwarded, err)
		}
		decoded := r.URL.Path
		if (decoded == "/admin" || strings.HasPrefix(decoded, "/admin/")) && !deny.match(r.Path) {
			t.Errorf("%q gets past as %q", target, forwarded)
		}
		if strings.HasSuffix(r.Host, ".") || strings.ToLower(r.Host) != r.Host || strings.Contains(strings.TrimSuffix(r.Host, "]"), "]:") {
			t.Errorf("%q is compared as %q", host, r.Host)
		}
		if hosts.host(r.Host) && !strings.HasSuffix(strings.TrimSuffix(strings.ToLower(strings.Split(h.Host, ":")[0]), "."), "example.org") {
			t.Errorf("%q is taken for example.org", host)
		}
		if rt := stripped(h, "/v1"); !strings.HasPrefix(rt, "/") || strings.HasPrefix(rt, "//") {
			t.Errorf("%q becomes %q", target, rt)
		}
	})
}

func stripped(r *http.Request, prefix string) string {
	u := *r.URL
	stripPrefix(&u, prefix)
	return u.RequestURI()
}
