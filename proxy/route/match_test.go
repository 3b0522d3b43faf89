package route

import (
	"net/url"
	"testing"
)

// TestQuery: parameters that package net/url drops, and a server behind reads, are seen.
func TestQuery(t *testing.T) {
	for _, c := range []struct {
		name, value, query string
		want               bool
	}{
		{"a", "*", "a", true},
		{"a", "*", "a=", true},
		{"a", "*", "", false},
		{"a", "*", "b=a", false},
		{"a", "*", "b&a=1", true},
		{"a", "1", "a=2&a=1", true},
		{"a", "1", "a=2", false},
		{"a", "1 2", "a=1+2", true},
		{"a b", "ü", "a%20b=%C3%BC", true},
		{"a", "*", "a=1;x", true},
		{"a", "1", "a=1;x", false},
		{"a", "*", "x;y&a=1", true},
		{"a", "*", "a=%zz", true},
		{"a", "*", "a=%", true},
		{"a", "%zz 1", "a=%zz+%31", true},
		{"a", "*", "%61=%4", true},
	} {
		m := &match{query: []valueMatch{{c.name, c.value}}}
		if m.parameters(c.query) != c.want {
			t.Errorf("%s=%s in %q: %v", c.name, c.value, c.query, !c.want)
		}
		given, err := url.ParseQuery(c.query)
		m.both = true
		if m.parameters(c.query) != (c.want && (err == nil || given.Has(c.name))) {
			t.Errorf("%s=%s in %q, in both readings: %v", c.name, c.value, c.query, m.parameters(c.query))
		}
	}
}

// FuzzUnescapeQuery: what is a right text is decoded as package net/url does.
func FuzzUnescapeQuery(f *testing.F) {
	for _, s := range []string{"", "a+b", "%41", "%zz", "%4", "%", "%2541", "%C3%BC"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := unescapeQuery(s)
		if want, err := url.QueryUnescape(s); err == nil && got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
		if len(got) > len(s) {
			t.Errorf("%q has become longer: %q", s, got)
		}
		if again := unescapeQuery(url.QueryEscape(s)); again != s {
			t.Errorf("%q escaped and decoded is %q", s, again)
		}
	})
}

// TestCutEscaped: a prefix is found in an escaped path however that is written, as a route's
// paths are.
func TestCutEscaped(t *testing.T) {
	for _, c := range []struct{ path, prefix, want string }{
		{"/api/x", "/api", "/x"},
		{"/api", "/api", ""},
		{"/a(b)/x%2Fy", "/a(b)", "/x%2Fy"},
		{"/a%28b%29/x", "/a(b)", "/x"},
		{"/a(b%29/x", "/a(b)", "/x"},
		{"/c%3Bd/x", "/c;d", "/x"},
		{"/%C3%A9/x", "/é", "/x"},
		{"/100%25/x", "/100%", "/x"},
		{"/e%20f", "/e f", ""},
		{"/apiary", "/api", "ary"},
		{"/a", "/api", "none"},
		{"/a%2Fb/x", "/a/b", "none"},
		{"/a%2", "/a/b", "none"},
		{"/a%", "/a%", "none"},
		{"", "/a", "none"},
	} {
		if rest, ok := cutEscaped(c.path, c.prefix); ok != (c.want != "none") || ok && rest != c.want {
			t.Errorf("%s without %s: %q, %v; want %q", c.path, c.prefix, rest, ok, c.want)
		}
	}
}
