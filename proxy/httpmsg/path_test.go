package httpmsg

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestCleanPath(t *testing.T) {
	for _, test := range []struct{ in, out, match string }{
		{"/", "/", "/"},
		{"/a/b", "/a/b", "/a/b"},
		{"/a/b/", "/a/b/", "/a/b/"},
		{"/a?b=/../%00", "/a?b=/../%00", "/a"},
		{"/a?", "/a?", "/a"},
		{"/a?b=caf\xc3\xa9\x80/%c3", "/a?b=caf%C3%A9%80/%c3", "/a"},
		{"/a//b?caf\xc3\xa9", "/a/b?caf%C3%A9", "/a/b"},
		{"http://example.org", "/", "/"},
		{"http://example.org?a", "/?a", "/"},

		// Slashes.
		{"//", "/", "/"},
		{"//a", "/a", "/a"},
		{"///a//b///", "/a/b/", "/a/b/"},

		// Dot segments.
		{"/.", "/", "/"},
		{"/./", "/", "/"},
		{"/a/.", "/a/", "/a/"},
		{"/a/./b", "/a/b", "/a/b"},
		{"/a/..", "/", "/"},
		{"/a/../", "/", "/"},
		{"/a/../b", "/b", "/b"},
		{"/a/b/..", "/a/", "/a/"},
		{"/a/b/../../c", "/c", "/c"},
		{"/a//../b", "/b", "/b"},
		{"/a/.//../b", "/b", "/b"},
		{"/%2e", "/", "/"},
		{"/a/%2e%2E/b", "/b", "/b"},
		{"/a/.%2e/b", "/b", "/b"},
		{"/a/%2e/b", "/a/b", "/a/b"},
		{"/...", "/...", "/..."},
		{"/.a", "/.a", "/.a"},
		{"/..a/a..", "/..a/a..", "/..a/a.."},
		{"/.well-known/x", "/.well-known/x", "/.well-known/x"},
		{"/a/%252e%252e/b", "/a/%252e%252e/b", "/a/%252e%252e/b"},

		// Slashes that separate nothing.
		{"/a%2fb", "/a%2Fb", "/a%2Fb"},
		{"/a%2F%2Fb", "/a%2F%2Fb", "/a%2F%2Fb"},
		{"/%2f", "/%2F", "/%2F"},
		{"/a%252fb", "/a%252fb", "/a%252fb"},
		{"/a%5cb", "/a%5Cb", `/a\b`},
		{`/a\b`, "/a%5Cb", `/a\b`},
		{`/a\b%2fc`, "/a%5Cb%2Fc", `/a\b%2Fc`},
		{"/a|b%2fc", "/a%7Cb%2Fc", "/a|b%2Fc"}, // net/url alone makes /a%7Cb/c of it
		{"/caf\xc3\xa9%2f", "/caf%C3%A9%2F", "/café%2F"},
		{"/a/../b%2fc", "/b%2Fc", "/b%2Fc"},

		// Escapes.
		{"/%41%7e%2d", "/A~-", "/A~-"},
		{"/a%20b", "/a%20b", "/a b"},
		{"/a+b", "/a+b", "/a+b"},
		{"/a%2bb", "/a%2Bb", "/a+b"},
		{"/caf%c3%a9", "/caf%C3%A9", "/café"},
		{"/caf\xc3\xa9", "/caf%C3%A9", "/café"},
		{"/%ff%c0%ae", "/%FF%C0%AE", "/\xff\xc0\xae"}, // not UTF-8, and no dot
		{"/100%25", "/100%25", "/100%25"},
		{"/%2541", "/%2541", "/%2541"},
		{"/(a)!*'", "/(a)!*'", "/(a)!*'"},
		{"/%28a%29", "/%28a%29", "/(a)"},
		{"/(a%29", "/(a%29", "/(a)"},
		{"/a;b=c,d:e@f&g$h", "/a;b=c,d:e@f&g$h", "/a;b=c,d:e@f&g$h"},
		{"/a%3bb", "/a%3Bb", "/a;b"},
		{"/;/a;/.;/b", "/;/a;/.;/b", "/;/a;/.;/b"},
		{`/"<>[]^{}` + "`", "/%22%3C%3E%5B%5D%5E%7B%7D%60", `/"<>[]^{}` + "`"},
		{"/a%0d%0ab", "/a%0D%0Ab", "/a\r\nb"},
		{"/a#b", "/a%23b", "/a#b"}, // package net/url takes it for part of a request's path
		{"/a%3fb?c", "/a%3Fb?c", "/a?b"},
		{"/*", "/*", "/*"},
	} {
		u, err := url.ParseRequestURI(test.in)
		if err != nil {
			t.Errorf("%q: %v", test.in, err)
			continue
		}
		if err := CleanPath(u); err != nil {
			t.Errorf("%q: %v", test.in, err)
			continue
		}
		if got := u.RequestURI(); got != test.out {
			t.Errorf("%q: got %q, want %q", test.in, got, test.out)
		}
		if got := MatchPath(u); got != test.match {
			t.Errorf("%q: to be matched as %q, want %q", test.in, got, test.match)
		}
		if got, err := url.PathUnescape(u.EscapedPath()); err != nil || got != u.Path {
			t.Errorf("%q: Path is %q, RawPath %q", test.in, u.Path, u.RawPath)
		}
	}
}

func TestCleanPathRefuses(t *testing.T) {
	for _, test := range []struct {
		url  url.URL
		want string
	}{
		{url.URL{Path: "/.."}, "leads out"},
		{url.URL{Path: "/../"}, "leads out"},
		{url.URL{Path: "/a/../.."}, "leads out"},
		{url.URL{Path: "//.."}, "leads out"},
		{url.URL{Path: "/./../a"}, "leads out"},
		{url.URL{Path: "/../a", RawPath: "/%2e%2e/a"}, "leads out"},
		{url.URL{Path: "/a/../../b", RawPath: "/a/%2E./.%2e/b"}, "leads out"},
		{url.URL{Path: "/\x00"}, "NUL"},
		{url.URL{Path: "/a/\x00/..", RawPath: "/a/%00/.."}, "NUL"},
		{url.URL{Path: "/", RawPath: "/%"}, "broken escape"},
		{url.URL{Path: "/", RawPath: "/%4"}, "broken escape"},
		{url.URL{Path: "/", RawPath: "/%zz"}, "broken escape"},
		{url.URL{Path: "*"}, "doesn't begin with a slash"},
		{url.URL{Path: "a"}, "doesn't begin with a slash"},
		{url.URL{Opaque: "//a"}, "doesn't begin with a slash"},
		{url.URL{Path: "/", RawQuery: "a\x00"}, "0x00 in the query"},
		{url.URL{Path: "/", RawQuery: "a\r\nb"}, "0x0d in the query"},
		{url.URL{Path: "/", RawQuery: "\x7f"}, "0x7f in the query"},

		// Dot segments to some servers.
		{url.URL{Path: "/a/..;/b"}, ".. before a semicolon"},
		{url.URL{Path: "/a/..;x=y"}, ".. before a semicolon"},
		{url.URL{Path: "/a/../b", RawPath: "/a/..%2Fb"}, "beside an encoded slash"},
		{url.URL{Path: "/a/../b", RawPath: "/a%2f%2e%2E/b"}, "beside an encoded slash"},
		{url.URL{Path: "/a/../b", RawPath: "/a%2F..%2fb"}, "beside an encoded slash"},
		{url.URL{Path: `/a/..\b`}, "beside an encoded slash"},
		{url.URL{Path: `/a\../b`}, "beside an encoded slash"},
		{url.URL{Path: `/a/...\..`}, "beside an encoded slash"},
		{url.URL{Path: "/a/x/..;", RawPath: "/a/x%2F..;"}, "beside an encoded slash"},
	} {
		u := test.url
		err := CleanPath(&u)
		var e *Error
		if !errors.As(err, &e) || e.Status != 400 || !strings.Contains(e.Reason, test.want) {
			t.Errorf("%q (%q): error %v, want %s", test.url.Path, test.url.RawPath, err, test.want)
		}
		if u != test.url {
			t.Errorf("%q (%q): changed to %q", test.url.Path, test.url.RawPath, u.Path)
		}
	}
}

// TestCleanPathOfWhatDisagrees takes the Path of a URL if RawPath isn't an
// encoding of it, as package net/url does.
func TestCleanPathOfWhatDisagrees(t *testing.T) {
	u := url.URL{Path: "/a b", RawPath: "/c%2Fd"}
	if err := CleanPath(&u); err != nil || u.RequestURI() != "/a%20b" {
		t.Errorf("%v, %q", &u, err)
	}
}

func TestCleanHost(t *testing.T) {
	for in, want := range map[string]string{
		"example.org":             "example.org",
		"Example.ORG.":            "example.org",
		"example.org:80":          "example.org",
		"EXAMPLE.org.:8080":       "example.org",
		"my_host-1":               "my_host-1",
		"127.0.0.1:80":            "127.0.0.1",
		"[::1]":                   "[::1]",
		"[2001:DB8:0::A]:443":     "[2001:db8::a]",
		"[::ffff:127.0.0.1]":      "[::ffff:127.0.0.1]",
		"xn--bcher-kva.example":   "xn--bcher-kva.example",
		strings.Repeat("a.", 127): strings.Repeat("a.", 126) + "a",
	} {
		got, err := CleanHost(in)
		if err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
		if again, err := CleanHost(got); err != nil || again != got {
			t.Errorf("%q: again %q, %v", in, again, err)
		}
	}
	for _, in := range []string{
		"", ".", ":80", ".a", "a..b", "a.:", "a:b", "a:80:80", "a b", "a/b", "a@b", "a:99999", "a:0", "::1", "[::1", "[]", "[a]", "[1.2.3.4]",
		"[fe80::1%eth0]", "[::1]80", "[::1]:", "bücher.example", "a%2eb", "a\x00", "*.a", "a,b", "a;b", strings.Repeat("a", 255),
	} {
		got, err := CleanHost(in)
		if e := (*Error)(nil); !errors.As(err, &e) {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}
