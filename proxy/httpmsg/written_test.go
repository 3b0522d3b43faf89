package httpmsg

import (
	"net/url"
	"strings"
	"testing"
)

func TestWrittenPath(t *testing.T) {
	for target, want := range map[string]string{ // "": it could mean another path
		"/":                           "/",
		"//sample-page//":             "//sample-page//",
		"//sample-page//?a=b//c":      "//sample-page//",
		"/%61%2fb%2F":                 "/%61%2fb%2F",
		"/proxy/https://x.test/":      "/proxy/https://x.test/",
		"http://x.test":               "/",
		"http://x.test?a/b":           "/",
		"https://x.test//a?b":         "//a",
		"/a..b/.c/...":                "/a..b/.c/...",
		"/a/./b":                      "",
		"/a/../b":                     "",
		"/a/%2e":                      "",
		"/a/%2E%2e/b":                 "",
		"/a/.%2e":                     "",
		"/.":                          "",
		"/a b":                        "",
		"/a#b":                        "",
		"/ä":                          "",
		`/a\b`:                        "",
		"/a[b]":                       "",
		"/a|b%2Fc":                    "", // package net/url would escape it all anew, and make a slash of %2F
		"":                            "",
		"/$&+,;=:@!'()*~-._%20%5B%7C": "/$&+,;=:@!'()*~-._%20%5B%7C",
	} {
		if path, ok := WrittenPath(target); ok != (want != "") || ok && path != want {
			t.Errorf("%q: %q, %v; want %q", target, path, ok, want)
		}
	}
}

// FuzzWrittenPath: a path that was written in another way than the cleaned one
// becomes that, once slashes are merged and escapes are in their one form.
func FuzzWrittenPath(f *testing.F) {
	for _, s := range []string{"/", "//a//", "/a/../b", "/%2e./", "/a%2Fb", "/a;b/..;/", "/a|b%2fc", "/%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Opaque != "" || CleanPath(u) != nil {
			return
		}
		written, ok := WrittenPath(target)
		if !ok {
			return
		}
		decoded, err := url.PathUnescape(written)
		if err != nil {
			t.Fatal(err)
		}
		again := &url.URL{Path: decoded, RawPath: written}
		if again.EscapedPath() != written {
			t.Errorf("%q is sent as %q", written, again.EscapedPath())
		}
		if err := CleanPath(again); err != nil || again.EscapedPath() != u.EscapedPath() {
			t.Errorf("%q is %q, its written path %q is %q: %v", target, u.EscapedPath(), written, again.EscapedPath(), err)
		}
		for _, segment := range strings.Split(written, "/") {
			if s, _ := url.PathUnescape(segment); s == "." || s == ".." {
				t.Errorf("%q has a dot segment", written)
			}
		}
	})
}
