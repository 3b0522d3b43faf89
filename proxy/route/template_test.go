package route

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"mkd/config"
	"mkd/megaki"
	"mkd/proxy/forward"
	"mkd/proxy/httpmsg"
	"mkd/proxy/request"
)

// requestOf returns a request as routes have it.
func requestOf(t testing.TB, head string) *request.Request {
	t.Helper()
	h, err := httpmsg.ParseRequest([]byte(head+"\r\n\r\n"), httpmsg.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	r := &request.Request{Request: h, Client: netip.MustParseAddrPort("192.0.2.7:1234"), Secure: true, Session: new(megaki.Token)}
	if err := (&Handler{clients: new(forward.Clients)}).admit(r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestPlaceholders: what a client sends is a value, wherever it is put, and never a
// placeholder.
func TestPlaceholders(t *testing.T) {
	paths := newPaths(&config.Conditions{PathRegexp: `^/(?P<first>[^/]*)/(.*)$`})
	groups := expressions{paths.regexp}
	r := requestOf(t, "GET /a%20%7Bhost%7D%26x%3D1/%22%3Cb%3E%0A?q={path}&z HTTP/1.1\r\nHost: Example.org:80\r\nX-A: \"<{host}>\r\nX-A: b&c=d")
	r.User = "ann"
	for _, c := range []struct {
		text string
		as   form
		want string
	}{
		{"plain {\"json\": {}} {{host}", asText, "plain {\"json\": {}} {host}"},
		{"{host} {method} {scheme} {client_ip} {user}", asText, "example.org GET https 192.0.2.7 ann"},
		{"{session}", asText, strings.Repeat("0", 32)},
		{"{path}", asText, "/a%20%7Bhost%7D%26x%3D1/%22%3Cb%3E%0A"},
		{"{uri}", asURL, "/a%20%7Bhost%7D%26x%3D1/%22%3Cb%3E%0A?q={path}&z"},
		{"{re.first}", asText, "a {host}&x=1"},
		{"{re.2}", asHTML, "&#34;&lt;b&gt;\n"},
		{"{re.2}", asJSON, `\"\u003cb\u003e\n`},
		{"{re.2}", asField, "%22%3Cb%3E%0A"},
		{"/x/{re.first}?a={re.first}&{query}", asURL, "/x/a%20%7Bhost%7D&x=1?a=a+%7Bhost%7D%26x%3D1&q={path}&z"},
		{"p={path}", asQuery, "p=%2Fa%2520%257Bhost%257D%2526x%253D1%2F%2522%253Cb%253E%250A"},
		{"{header.x-a}", asText, `"<{host}>, b&c=d`},
		{"{header.X-A}", asHTML, `&#34;&lt;{host}&gt;, b&amp;c=d`},
		{"/{header.X-A}", asURL, `/%22%3C%7Bhost%7D%3E%2C%20b&c=d`},
		{"{header.X-None}|", asText, "|"},
	} {
		if got := newTemplate(c.text, c.as, groups).expand(r); got != c.want {
			t.Errorf("%s becomes %q, want %q", c.text, got, c.want)
		}
	}
	if id := newTemplate("{request_id}", asText, nil).expand(r); len(id) != 32 || id != r.ID() {
		t.Errorf("the id is %q", id)
	}
	raw := &request.Request{Request: new(http.Request), Raw: true, Client: r.Client}
	if got := newTemplate("{host}{path}{header.A}{re.first}{client_ip}{session}", asText, groups).expand(raw); got != "192.0.2.7" {
		t.Errorf("a raw message has %q", got)
	}
}

// TestTargetsStay: no value leads a redirect to another host than the one it has.
func TestTargetsStay(t *testing.T) {
	paths := newPaths(&config.Conditions{PathRegexp: `^/x(.*)$`})
	groups := expressions{paths.regexp}
	for _, c := range []struct{ text, path, want string }{
		{"/{re.1}", "/x/evil.example", "/evil.example"},
		{"/{re.1}", `/x/\evil.example`, "/%5Cevil.example"},
		{"/{re.1}", "/x", "/"},
		{"/{user}{path}", "/x", "/x"},
		{"/{query}", "/?/evil.example", "/evil.example"},
		{"/{query}", `/?\evil.example`, "/evil.example"},
		{"/new{re.1}", "/x/a", "/new/a"},
		{"https://example.org{re.1}", "/x.evil.example", "https://example.org/.evil.example"},
		{"https://example.org{re.1}", "/x@evil.example", "https://example.org/@evil.example"},
		{"https://example.org{re.1}.html", "/x/a", "https://example.org/a.html"},
		{"https://example.org{re.1}", "/x", "https://example.org"},
		{"https://example.org{re.1}{query}", "/x?.evil.example", "https://example.org/.evil.example"},
		{"https://example.org{re.1}{query}", "/x/a?b", "https://example.org/ab"},
		{"https://example.org{re.1}.{query}", "/x?evil.example", "https://example.org./evil.example"},
		{"https://example.org{re.1}{host}", "/x", "https://example.org/example.org"},
		{"https://example.org:8443{re.1}?{query}", "/x9/a:b?c", "https://example.org:8443/9/a:b?c"},
		{"https://{host}{re.1}", "/x.evil.example", "https://example.org/.evil.example"},
		{"{scheme}://{host}{re.1}", "/x.evil.example", "https://example.org/.evil.example"},
		{"https://{host}{uri}", "/x?y", "https://example.org/x?y"},
		{"https://{re.1}.example.org/", "/xevil.example/", "https://evil.example%2F.example.org/"},
		{"https://www.{re.1}.example.org{uri}", "/xa@b", "https://www.a%40b.example.org/xa@b"},
		{"https://{re.1}.example.org/a", "/xshop", "https://shop.example.org/a"},
		{"https://example.org/{re.1}/b:c/{re.1}", "/x.a", "https://example.org/.a/b:c/.a"},
	} {
		r := requestOf(t, "GET "+c.path+" HTTP/1.1\r\nHost: example.org")
		if got := newTemplate(c.text, asURL, groups).expand(r); got != c.want {
			t.Errorf("%s with %s: %s, want %s", c.text, c.path, got, c.want)
		}
	}
}

// TestRewrite: what a backend gets, and that nothing a client writes makes more of it.
func TestRewrite(t *testing.T) {
	for _, c := range []struct {
		name, target string
		cfg          config.Route
		want         string // "": it is refused
	}{
		{"path", "/a/b?c", config.Route{Rewrite: &config.Rewrite{Path: "/index.php"}}, "/index.php?c"},
		{"query", "/a/b?c", config.Route{Rewrite: &config.Rewrite{Path: "/index.php", Query: "q={path}&{query}"}}, "/index.php?q=%2Fa%2Fb&c"},
		{"no query", "/a", config.Route{Rewrite: &config.Rewrite{Query: "q={path}&{query}"}}, "/a?q=%2Fa"},
		{"injection", "/a&b=c;d", config.Route{Rewrite: &config.Rewrite{Query: "q={path}"}}, "/a&b=c;d?q=%2Fa%26b%3Dc%3Bd"},
		{"without its query", "/a?b", config.Route{Rewrite: &config.Rewrite{RemoveQuery: true}}, "/a"},
		{"prefix", "/a%2Fb?c", config.Route{Rewrite: &config.Rewrite{AddPrefix: "/v 1"}}, "/v%201/a%2Fb?c"},
		{"prefix of the root", "/", config.Route{Rewrite: &config.Rewrite{AddPrefix: "/v1"}}, "/v1/"},
		{"other prefix", "/api/a", config.Route{StripPrefix: "/api", Rewrite: &config.Rewrite{AddPrefix: "/v1"}}, "/v1/a"},
		{"regexp", "/u/12/x%3Fy", config.Route{Rewrite: &config.Rewrite{Regexp: `^/u/(?P<id>\d+)/(.*)`, To: "/users/{re.2}/{re.id}"}}, "/users/x%3Fy/12"},
		{"no match", "/u/ab", config.Route{Rewrite: &config.Rewrite{Regexp: `^/u/(\d+)`, To: "/{re.1}"}}, "/u/ab"},
		{"slashes", "/x//y", config.Route{Rewrite: &config.Rewrite{Path: "/a{path}"}}, "/a/x/y"},
		{"dots", "/x../y", config.Route{Rewrite: &config.Rewrite{Regexp: `^/x(.*)/`, To: "/a/b/{re.1}/c"}}, ""},
		{"cut escape", "/a%252Fb", config.Route{Rewrite: &config.Rewrite{Regexp: `^(/a%2)`, To: "{re.1}"}}, "/a%252"},
		{"asked path", "/old", config.Route{StripPrefix: "/old", Rewrite: &config.Rewrite{Query: "was={path}"}}, "/?was=%2Fold"},
	} {
		r := requestOf(t, "GET "+c.target+" HTTP/1.1\r\nHost: example.org")
		rt := &route{cfg: &c.cfg, rewrite: newRewrite(c.cfg.Rewrite, nil), backend: nothing{}}
		asked := r.AskedURI()
		err := rt.change(r)
		if (err != nil) != (c.want == "") || err == nil && r.URL.RequestURI() != c.want {
			t.Errorf("%s: %s becomes %s, %v; want %q", c.name, c.target, r.URL.RequestURI(), err, c.want)
		}
		if r.AskedURI() != asked {
			t.Errorf("%s: asked for %s, and then it is %s", c.name, asked, r.AskedURI())
		}
	}
}

// TestPlainRoutesAreFree: a route without placeholders and rewrites allocates nothing
// for them.
func TestPlainRoutesAreFree(t *testing.T) {
	r := requestOf(t, "GET /a HTTP/1.1\r\nHost: example.org")
	changes := newHeaderChanges(&config.HeaderChanges{Set: map[string]string{"X-A": "b"}}, nil, nil)
	rt := &route{cfg: new(config.Route), backend: nothing{}}
	body := newTemplate("hello {\"a\": 1}", asJSON, nil)
	if n := testing.AllocsPerRun(100, func() {
		if err := rt.change(r); err != nil || changes.expand(r) != changes || body.expand(r) == "" {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzTemplate has requests of all shapes meet placeholders in a header field and a
// URL: what comes out must be one value.
func FuzzTemplate(f *testing.F) {
	f.Add("/a/b?c", "x")
	f.Add("/%0d%0aX:1/%22?%0a", "{host}")
	f.Add("/a%252F%00/..;", "\"<>")
	f.Add("/?.evil.example", "//evil.example")
	f.Add("/.evil.example@/x", "\\")
	paths := newPaths(&config.Conditions{PathRegexp: `^/(.?)(.*)$`})
	groups := expressions{paths.regexp}
	field := newTemplate("{path}{query}{header.X}{re.1}{re.2}{host}", asField, groups)
	within := newTemplate("/{re.2}", asURL, groups)
	after := newTemplate("https://example.org{re.2}{query}", asURL, groups)
	name := newTemplate("https://{re.2}.example.org{re.1}", asURL, groups)
	location := newTemplate("https://{host}/{re.2}/{header.X}?a={re.1}&{query}", asURL, groups)
	f.Fuzz(func(t *testing.T, target, value string) {
		h, err := httpmsg.ParseRequest([]byte("GET "+target+" HTTP/1.1\r\nHost: example.org\r\nX: "+value+"\r\n\r\n"), httpmsg.Limits{})
		if err != nil {
			return
		}
		r := &request.Request{Request: h}
		if (&Handler{clients: new(forward.Clients)}).admit(r) != nil {
			return
		}
		if got := field.expand(r); strings.ContainsAny(got, "\r\n\x00") {
			t.Errorf("a field becomes %q", got)
		}
		if got := within.expand(r); strings.HasPrefix(got, "//") || strings.HasPrefix(got, `/\`) {
			t.Errorf("a path becomes %q", got)
		}
		if u, err := url.Parse(after.expand(r)); err == nil && u.Host != "example.org" {
			t.Errorf("a host becomes %q", u.Host)
		}
		if u, err := url.Parse(name.expand(r)); err == nil && !strings.HasSuffix(u.Host, ".example.org") {
			t.Errorf("a name becomes %q", u.Host)
		}
		got := location.expand(r)
		if rest, ok := strings.CutPrefix(got, "https://example.org/"); !ok || strings.ContainsAny(rest, "\r\n\x00 ") || strings.Contains(rest, "#") && !strings.Contains(r.URL.RawQuery, "#") {
			t.Errorf("a location becomes %q", got)
		}
	})
}
