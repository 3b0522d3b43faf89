package main

import (
	"net/url"
	"strings"
	"testing"

	"mkd/proxy/httpmsg"
)

func TestParseTarget(t *testing.T) {
	for _, test := range []struct {
		in, server string
		asIs       bool
		want, user string
	}{
		{in: "http://a/b?c", want: "http://a/b?c"},
		{in: "HTTPS://a", want: "https://a/"},
		{in: "a/b", want: "https://a/b"},
		{in: "a", want: "https://a/"},
		{in: "a?b", want: "https://a/?b"},
		{in: "a#b", want: "https://a/"},
		{in: "localhost:8080/a", want: "https://localhost:8080/a"},
		{in: "/a", server: "example.org:6363", want: "https://example.org/a"},
		{in: "/a", server: "[::1]:6363", want: "https://[::1]/a"},
		{in: "/a", server: "[fe80::1%eth0]:6363", want: "https://[fe80::1]/a"},
		{in: "/a", server: ":6363", want: "https://localhost/a"},
		{in: "/http://a/b", server: "c:1", want: "https://c/http://a/b"},
		{in: "a/b?c=http://d/", want: "https://a/b?c=http://d/"},
		{in: "//a/b", server: "c:1", want: "https://c//a/b"},
		{in: "http://a:80/", want: "http://a/"},
		{in: "http://a:443/", want: "http://a:443/"},
		{in: "https://a:443/", want: "https://a/"},
		{in: "http://a:/", want: "error: the port"},
		{in: "http://[::1]:81/", want: "http://[::1]:81/"},
		{in: "http://me:pw@a/", want: "http://a/", user: "me:pw"},
		{in: "me%40b:p%3aw@a/b@c", want: "https://a/b@c", user: "me@b:p:w"},
		{in: "http://a/b c?d e", want: "http://a/b%20c?d%20e"},
		{in: "http://a/é\"<>\\^`{|}", want: "http://a/%C3%A9%22%3C%3E%5C%5E%60%7B%7C%7D"},
		{in: "http://a/%41%zz%", want: "http://a/%41%zz%"},
		{in: "http://a/b[1]'()*!$&,;=:@~", want: "http://a/b[1]'()*!$&,;=:@~"},
		{in: "http://a?", want: "http://a/?"},
		{in: "http://a/b??c?", want: "http://a/b??c?"},

		{in: "http://a/b/../c/./d/..", want: "http://a/c/"},
		{in: "http://a/../../b", want: "http://a/b"},
		{in: "http://a/..", want: "http://a/"},
		{in: "http://a/b/.", want: "http://a/b/"},
		{in: "http://a//b//../c", want: "http://a//b/c"},
		{in: "http://a/b/%2e%2e/c?/../", want: "http://a/b/%2e%2e/c?/../"},
		{in: "http://a/b/../c", asIs: true, want: "http://a/b/../c"},

		{in: "ftp://a/", want: "error: want the scheme"},
		{in: "://a/", want: "error: want the scheme"},
		{in: "", want: "error: it has no host"},
		{in: "http://", want: "error: it has no host"},
		{in: "http://:80/", want: "error: it has no host"},
		{in: "http://a b/", want: "error: the host is"},
		{in: "http://[::1/", want: "error: the host is"},
		{in: "http://[1.2.3.4]/", want: "error: the host is"},
		{in: "http://::1/", want: "error: the host is"},
		{in: "http://a:65536/", want: "error: the port"},
		{in: "http://a:0/", want: "error: the port"},
		{in: "http://%zz@a/", want: "error: the user"},
		{in: "/a\x00", server: "a:1", want: "error: a URL has no control characters"},
	} {
		got, err := parseTarget(test.in, test.server, test.asIs)
		if want, wrong := strings.CutPrefix(test.want, "error: "); wrong {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: error %v, want %s", test.in, err, want)
			}
			continue
		}
		if err != nil || got.String() != test.want || got.user != test.user {
			t.Errorf("%q: %s, user %q, %v; want %s", test.in, &got, got.user, err, test.want)
		}
	}
}

// TestFollow runs the examples of RFC 3986, section 5.4, that lead to HTTP.
func TestFollow(t *testing.T) {
	base, err := parseTarget("http://a/b/c/d;p?q", "", false)
	if err != nil {
		t.Fatal(err)
	}
	for location, want := range map[string]string{
		"g": "http://a/b/c/g", "./g": "http://a/b/c/g", "g/": "http://a/b/c/g/", "/g": "http://a/g", "//g": "http://g/",
		"?y": "http://a/b/c/d;p?y", "g?y": "http://a/b/c/g?y", "#s": "http://a/b/c/d;p?q", "g#s": "http://a/b/c/g", "g?y#s": "http://a/b/c/g?y",
		";x": "http://a/b/c/;x", "g;x": "http://a/b/c/g;x", ".": "http://a/b/c/", "./": "http://a/b/c/", "..": "http://a/b/", "../g": "http://a/b/g",
		"../..": "http://a/", "../../g": "http://a/g", "../../../g": "http://a/g", "/./g": "http://a/g", "/../g": "http://a/g", "g.": "http://a/b/c/g.",
		"..g": "http://a/b/c/..g", "./g/.": "http://a/b/c/g/", "g/./h": "http://a/b/c/g/h", "g/../h": "http://a/b/c/h", "g?y/../x": "http://a/b/c/g?y/../x",
		"https://x:443/y?z": "https://x/y?z", "HTTP://x": "http://x/", "g?a:b": "http://a/b/c/g?a:b", "./g:h": "http://a/b/c/g:h", "//me@g:81/h": "http://g:81/h",
	} {
		got, err := base.follow(location, false)
		if err != nil || got.String() != want || got.user != "" {
			t.Errorf("%q: %s, %v; want %s", location, &got, err, want)
		}
	}
	for _, location := range []string{"g:h", "mailto:a@b", "javascript:1", "ftp://a/", "http:g", "http:", "//", "/\r\nA: b"} {
		if got, err := base.follow(location, false); err == nil {
			t.Errorf("%q: %s", location, &got)
		}
	}
}

// FuzzTarget: a server takes each URL that parseTarget accepts, unless it has broken escapes.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"http://me:pw@a:80/b/../c?d#e", "[::1]:1/a", "/é \\|", "a?b", "//x", "http://a//..//"} {
		f.Add(seed, "../b?c")
	}
	f.Fuzz(func(t *testing.T, in, location string) {
		u, err := parseTarget(in, "server.example:6363", false)
		if err != nil {
			return
		}
		check := func(u *target) {
			r := request{target: *u, method: "GET"}
			msg, _ := r.message()
			got, err := httpmsg.ParseRequest(msg, httpmsg.Limits{})
			if err != nil {
				if _, broken := url.PathUnescape(u.path); broken == nil && !oddHost(u.host) {
					t.Fatalf("%q is %q: %v", in, msg, err)
				}
				return
			}
			if got.Host != u.host || got.RequestURI != u.path+u.query {
				t.Fatalf("%q is %q", in, msg)
			}
		}
		check(&u)
		if next, err := u.follow(location, false); err == nil {
			check(&next)
		}
	})
}

// oddHost reports whether no site of the Internet can have the name.
func oddHost(host string) bool {
	_, err := httpmsg.CleanHost(host)
	return err != nil
}
