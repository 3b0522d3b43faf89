package backend

import (
	"strings"
	"testing"
)

// TestLocationInside: the address that an upstream gives of itself led clients
// to an address that they can't reach, or past the prefix of the route.
func TestLocationInside(t *testing.T) {
	for _, c := range []struct {
		in       inside
		to, want string
	}{
		// Asked with its own host.
		{inside{"public.test", "", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "http://app:8080/a?b#c", "/a?b#c"},
		{inside{"public.test", "", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "HTTP://APP:8080", "/"},
		{inside{"public.test", "", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "http://app:8080?a", "/?a"},
		{inside{"public.test", "", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "https://app:8080/a", "/a"}, // it knows of https
		{inside{"public.test", "", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "//app:8080/a", "/a"},
		{inside{"public.test", "", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "http://app/a", "http://app/a"},
		{inside{"public.test", "", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "http://app:8080.evil.test/", "http://app:8080.evil.test/"},
		{inside{"public.test", "", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "http://app:8080@evil.test/", "http://app:8080@evil.test/"},
		{inside{"public.test", "", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "http://app:8080//evil.test/", "/evil.test/"},
		{inside{"public.test", "", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, `http://app:8080/\evil.test/`, "/evil.test/"},
		{inside{"public.test", "", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "https://elsewhere.test/", "https://elsewhere.test/"},
		{inside{"public.test", "", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "/a", "/a"},
		{inside{"public.test", "", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "a", "a"},
		{inside{"public.test", "", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "", ""},
		{inside{"public.test", "", hostPort{"app", "80"}, hostPort{"app", "80"}}, "http://app/a", "/a"},
		{inside{"public.test", "", hostPort{"app", "80"}, hostPort{"app", "80"}}, "http://app:80/a", "/a"},
		{inside{"public.test", "", hostPort{"app", "80"}, hostPort{"app", "80"}}, "https://app/a", "https://app/a"}, // another server: it would be asked for ever
		{inside{"public.test", "", hostPort{"::1", "8080"}, hostPort{"::1", "8080"}}, "http://[::1]:8080/a", "/a"},
		// Asked with another host that the route sets.
		{inside{"public.test", "", hostPort{"10.0.0.1", "80"}, hostPort{"inner.test", ""}}, "https://inner.test/a", "/a"},
		{inside{"public.test", "", hostPort{"10.0.0.1", "80"}, hostPort{"inner.test", ""}}, "https://inner.test:444/a", "https://inner.test:444/a"},
		// Asked with the client's host.
		{inside{"public.test", "", hostPort{"app", "8080"}, hostPort{"public.test", ""}}, "https://public.test/a", "https://public.test/a"},
		{inside{"public.test", "", hostPort{"app", "8080"}, hostPort{"public.test", ""}}, "http://app:8080/a", "/a"},
		{inside{"public.test", "/shop", hostPort{"app", "8080"}, hostPort{"public.test", ""}}, "https://public.test/a", "https://public.test/shop/a"},
		{inside{"public.test", "/shop", hostPort{"app", "8080"}, hostPort{"public.test", ""}}, "https://public.test", "https://public.test/shop/"},
		{inside{"public.test:81", "/shop", hostPort{"app", "8080"}, hostPort{"public.test", "81"}}, "http://public.test:81/a", "http://public.test:81/shop/a"},
		{inside{"public.test", "/shop", hostPort{"app", "8080"}, hostPort{"public.test", ""}}, "https://public.test/shop/a", "https://public.test/shop/a"},
		// Below a prefix.
		{inside{"public.test", "/shop", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "http://app:8080/a", "/shop/a"},
		{inside{"public.test", "/shop", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "/a?b", "/shop/a?b"},
		{inside{"public.test", "/shop", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "/", "/shop/"},
		{inside{"public.test", "/shop", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "/shop", "/shop"},
		{inside{"public.test", "/shop", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "/shop?a", "/shop?a"},
		{inside{"public.test", "/shop", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "/shop/a", "/shop/a"},
		{inside{"public.test", "/shop", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "/shopping", "/shop/shopping"},
		{inside{"public.test", "/shop", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "../a", "../a"},
		// Asked with its own host, it has the client's from X-Forwarded-Host.
		{inside{"public.test", "/shop", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "https://public.test/a", "https://public.test/shop/a"},
		{inside{"public.test:81", "/shop", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "http://PUBLIC.test:81/shop/a", "http://PUBLIC.test:81/shop/a"},
		{inside{"public.test", "/shop", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "https://public.test:444/a", "https://public.test:444/a"},
		{inside{"", "/shop", hostPort{"app", "8080"}, hostPort{"app", "8080"}}, "http:///a", "http:///a"},
		// A socket.
		{inside{"public.test", "", hostPort{}, hostPort{"localhost", ""}}, "http://localhost/a", "/a"},
		{inside{"public.test", "", hostPort{}, hostPort{"localhost", ""}}, "http:///a", "http:///a"},
	} {
		if have := c.in.location(c.to); have != c.want {
			t.Errorf("%+v: %q becomes %q, want %q", c.in, c.to, have, c.want)
		}
	}
}

func TestCookiesAndRefreshInside(t *testing.T) {
	in := &inside{"shop.public.test", "/shop", hostPort{"app.inner", "8080"}, hostPort{"app.inner", "8080"}}
	for cookie, want := range map[string]string{
		"a=b":                                      "a=b",
		"a=b; Path=/":                              "a=b; Path=/shop",
		"a=b;path=/x;Secure":                       "a=b; Path=/shop/x;Secure",
		"a=b; Path=/shop/x":                        "a=b; Path=/shop/x",
		"a=b; Path=x":                              "a=b; Path=x",
		"a=b; Domain=app.inner; HttpOnly":          "a=b; HttpOnly",
		"a=b; domain=.APP.inner":                   "a=b",
		"a=b; Domain=inner":                        "a=b",
		"a=b; Domain=public.test":                  "a=b; Domain=public.test",
		"a=b; Domain=other.test":                   "a=b; Domain=other.test",
		"Domain=app.inner; Path=/":                 "Domain=app.inner; Path=/shop", // its name
		"__Host-a=b; Path=/; Secure":               "__Host-a=b; Path=/; Secure",   // which has no other path
		"a=b; Expires=Wed, 21 Oct 2065 07:28:00 Z": "a=b; Expires=Wed, 21 Oct 2065 07:28:00 Z",
	} {
		if have := in.cookie(cookie); have != want {
			t.Errorf("%q becomes %q, want %q", cookie, have, want)
		}
	}
	for refresh, want := range map[string]string{
		"5":                                "5",
		"5; url=/a":                        "5; url=/shop/a",
		"0;URL=http://app.inner:8080/a":    "0;URL=/shop/a",
		`0; url="http://app.inner:8080/a"`: `0; url="/shop/a"`,
		"5; url='/a":                       "5; url='/a",
		"5; url=https://elsewhere.test/":   "5; url=https://elsewhere.test/",
		"5; url=":                          "5; url=",
	} {
		if have := in.refresh(refresh); have != want {
			t.Errorf("%q becomes %q, want %q", refresh, have, want)
		}
	}
}

// FuzzLocation: a URL that is rewritten leads to a path of the host that the client
// asked for, below the prefix.
func FuzzLocation(f *testing.F) {
	for _, s := range []string{"http://app:8080//evil.test/", `//app:8080/\evil`, "http://app:8080/\t/evil.test/", "/a", "//evil.test", "https://public.test", "http://app:8080?x", "http://APP:8080#x", "a", ""} {
		f.Add(s, "")
		f.Add(s, "/shop")
	}
	f.Fuzz(func(t *testing.T, s, prefix string) {
		if prefix != "" {
			prefix = "/shop"
		}
		in := &inside{"public.test", prefix, hostPort{"app", "8080"}, hostPort{"app", "8080"}}
		to := in.location(s)
		if to == s {
			return
		}
		path := strings.ReplaceAll(to, "\t", "")
		for _, own := range []string{"http://public.test", "https://public.test", "//public.test"} {
			if rest, ok := strings.CutPrefix(strings.ToLower(path), own); ok {
				path = rest
			}
		}
		if !strings.HasPrefix(path, prefix+"/") && path != prefix && !strings.HasPrefix(path, prefix+"?") && !strings.HasPrefix(path, prefix+"#") ||
			prefix == "" && (strings.HasPrefix(path, "//") || strings.HasPrefix(path, `/\`)) {
			t.Errorf("%q becomes %q", s, to)
		}
		if again := in.location(to); again != to {
			t.Errorf("%q becomes %q, then %q", s, to, again)
		}
	})
}
