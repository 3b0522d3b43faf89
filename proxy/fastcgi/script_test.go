package fastcgi

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func list(params []Param) string {
	var b strings.Builder
	for _, p := range params {
		b.WriteString(p.Name + "=" + p.Value + "\n")
	}
	return b.String()
}

// paramsOf returns the parameters of a request as a server decodes them.
func paramsOf(t *testing.T, s *Script, r *http.Request) []Param {
	t.Helper()
	var p Params
	p.begin(nil)
	s.AddParams(&p, r)
	b, err := p.finish()
	if err != nil {
		t.Fatal(err)
	}
	params, _ := decodeParams(t, string(b))
	return params
}

func TestScriptParams(t *testing.T) {
	u, _ := url.Parse("/app/index.php/a%20b?x=1&y")
	r := &http.Request{
		Method: "POST", URL: u, Proto: "HTTP/2.0", Host: "example.org:8443", ContentLength: 5,
		Header: http.Header{
			"Content-Type": {"text/plain"}, "Content-Length": {"99"}, "Proxy": {"evil"}, "Remote_user": {"root"}, "X.y": {"1"},
			"Cookie": {"a=1", "b=2"}, "Accept": {"text/html", "*/*"}, "X-Empty": {""}, "Host": {"forged"}, "x-low": {"2"}, "X-Low": {"1"},
			"Https": {"off"}, "Bad Name": {"1"}, "": {"1"}, "X-None": nil, "X-Set": {"0"}, "Authorization": {"Basic Zm9v"}, "PROXY": {"evil"},
		},
	}
	s := Script{
		Filename: "/srv/app/index.php", Name: "/app/index.php", PathInfo: "/a b", DocumentRoot: "/srv",
		ServerAddr: netip.MustParseAddrPort("[::ffff:192.0.2.1]:443"), RemoteAddr: netip.MustParseAddrPort("[fe80::1%eth0]:4711"),
		HTTPS: true, Session: "0027ff80", Key: "2027",
	}
	var err error
	s.Constant, err = SiteConstant(Param{"APP_ENV", "prod"}, Param{"SERVER_SOFTWARE", "other"}, Param{"HTTP_X_SET", "1"}, Param{"SERVER_NAME", "other.example"})
	if err != nil {
		t.Fatal(err)
	}
	want := `GATEWAY_INTERFACE=CGI/1.1
REDIRECT_STATUS=200
APP_ENV=prod
SERVER_SOFTWARE=other
HTTP_X_SET=1
SERVER_NAME=other.example
SCRIPT_FILENAME=/srv/app/index.php
SCRIPT_NAME=/app/index.php
PATH_INFO=/a b
PATH_TRANSLATED=/srv/a b
DOCUMENT_ROOT=/srv
DOCUMENT_URI=/app/index.php/a b
REQUEST_URI=/app/index.php/a%20b?x=1&y
QUERY_STRING=x=1&y
REQUEST_METHOD=POST
CONTENT_TYPE=text/plain
CONTENT_LENGTH=5
SERVER_PORT=443
SERVER_ADDR=192.0.2.1
SERVER_PROTOCOL=HTTP/2.0
REMOTE_ADDR=fe80::1
REMOTE_PORT=4711
HTTPS=on
REQUEST_SCHEME=https
MEGAKI_SESSION=0027ff80
MEGAKI_KEY=2027
HTTP_HOST=example.org:8443
HTTP_ACCEPT=text/html, */*
HTTP_AUTHORIZATION=Basic Zm9v
HTTP_COOKIE=a=1; b=2
HTTP_HTTPS=off
HTTP_X_EMPTY=
HTTP_X_LOW=1, 2
`
	for range 20 { // a map's order is another each time
		if got := list(paramsOf(t, &s, r)); got != want {
			t.Fatalf("got:\n%s\nwant:\n%s", got, want)
		}
	}
}

func TestScriptDefaults(t *testing.T) {
	u, _ := url.Parse("http://[::1]:8080")
	r := &http.Request{URL: u, Host: "[::1]:8080", RemoteAddr: "[::ffff:192.0.2.7]:80"}
	got := paramsOf(t, &Script{Filename: "/f.php", Name: "/f.php"}, r)
	want := []Param{
		{"SERVER_SOFTWARE", "mkd (like nginx)"}, {"GATEWAY_INTERFACE", "CGI/1.1"}, {"REDIRECT_STATUS", "200"},
		{"SCRIPT_FILENAME", "/f.php"}, {"SCRIPT_NAME", "/f.php"}, {"DOCUMENT_ROOT", ""}, {"DOCUMENT_URI", "/f.php"},
		{"REQUEST_URI", "/"}, {"QUERY_STRING", ""}, {"REQUEST_METHOD", "GET"},
		{"SERVER_NAME", "[::1]"}, {"SERVER_PORT", "80"}, {"SERVER_PROTOCOL", "HTTP/1.1"},
		{"REMOTE_ADDR", "192.0.2.7"}, {"REMOTE_PORT", "80"}, {"REQUEST_SCHEME", "http"},
		{"HTTP_HOST", "[::1]:8080"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", list(got), list(want))
	}
	got = paramsOf(t, &Script{ServerAddr: netip.MustParseAddrPort("[2001:db8::1]:80"), RequestURI: "/Raw%2f?q"}, &http.Request{Method: "POST"})
	for _, want := range []Param{{"SERVER_NAME", "[2001:db8::1]"}, {"SERVER_ADDR", "2001:db8::1"}, {"REQUEST_URI", "/Raw%2f?q"}, {"CONTENT_LENGTH", "0"}} {
		if !slices.Contains(got, want) {
			t.Errorf("%v isn't in:\n%s", want, list(got))
		}
	}
}

// TestNoFieldIsAnotherVariable sends fields named like every variable of CGI:
// each stays an HTTP_ one.
func TestNoFieldIsAnotherVariable(t *testing.T) {
	s := Script{Filename: "/f.php", Name: "/f.php", PathInfo: "/p", Session: "00", HTTPS: true,
		ServerAddr: netip.MustParseAddrPort("192.0.2.1:1"), RemoteAddr: netip.MustParseAddrPort("192.0.2.7:1")}
	r := &http.Request{Method: "POST", Host: "h", Header: http.Header{}}
	plain := paramsOf(t, &s, r)
	for _, p := range plain {
		r.Header[p.Name] = []string{"forged"}
		r.Header[strings.ReplaceAll(p.Name, "_", "-")] = []string{"forged"}
		r.Header["HTTP-"+strings.ReplaceAll(p.Name, "_", "-")] = []string{"forged"}
	}
	delete(r.Header, "CONTENT-TYPE")
	seen := map[string]bool{}
	for _, p := range paramsOf(t, &s, r) {
		if seen[p.Name] {
			t.Errorf("%s comes twice", p.Name)
		}
		seen[p.Name] = true
		if p.Value == "forged" && !strings.HasPrefix(p.Name, "HTTP_") || p.Name == "HTTP_HOST" && p.Value != "h" {
			t.Errorf("%s is forged: %s", p.Name, p.Value)
		}
	}
}

func BenchmarkScriptParams(b *testing.B) {
	u, _ := url.Parse("/index.php?x=1")
	r := &http.Request{Method: "GET", URL: u, Proto: "HTTP/1.1", Host: "example.org", Header: http.Header{
		"Accept": {"*/*"}, "Accept-Encoding": {"gzip"}, "Accept-Language": {"en"}, "User-Agent": {"x"}, "Cookie": {"a=1"}, "X-Forwarded-For": {"192.0.2.7"},
	}}
	s := Script{Filename: "/srv/index.php", Name: "/index.php", DocumentRoot: "/srv",
		ServerAddr: netip.MustParseAddrPort("192.0.2.1:80"), RemoteAddr: netip.MustParseAddrPort("192.0.2.7:4711")}
	var p Params
	b.ReportAllocs()
	for b.Loop() {
		p.begin(p.b[:0])
		s.AddParams(&p, r)
		if _, err := p.finish(); err != nil {
			b.Fatal(err)
		}
	}
}
