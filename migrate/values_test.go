package migrate

import (
	"slices"
	"testing"
)

func TestDuration(t *testing.T) {
	for in, want := range map[string]string{"": "", "0": "0", "0s": "0", "5": "5s", "60": "1m", "90s": "1m30s", "1h30m": "1h30m", "500ms": "500ms", "1d": "24h", "1w": "168h",
		"3600s": "1h", "2M": "1440h", "x": "", "5x": "", "-1": "", "1.5s": "", "99999999999999999999s": ""} {
		if have := duration(in); have != want {
			t.Errorf("%q: have %q, want %q", in, have, want)
		}
	}
}

func TestSize(t *testing.T) {
	for in, want := range map[string]string{"": "", "0": "0B", "100": "100B", "1024": "1KiB", "8k": "8KiB", "1024K": "1MiB", "64m": "64MiB", "4G": "4GiB", "2048m": "2GiB", "1.5m": "",
		"m": "", "9999999999m": ""} {
		if have := size(in); have != want {
			t.Errorf("%q: have %q, want %q", in, have, want)
		}
	}
}

func TestNetworks(t *testing.T) {
	have := networks([]string{"10.1.2.3/8", "::1", "unix:", "192.0.2.1", "::ffff:192.0.2.2", "a.org", "fe80::1%eth0"})
	if want := []string{"10.0.0.0/8", "::1", "192.0.2.1", "192.0.2.2"}; !slices.Equal(have, want) {
		t.Errorf("have %v, want %v", have, want)
	}
}

func TestTranslateRegexp(t *testing.T) {
	for _, c := range []struct {
		in            string
		insensitive   bool
		re, not       string
		noted, refuse bool
	}{
		{in: `\.php$`, re: `\.php$`},
		{in: `\.(gif|png)$`, insensitive: true, re: `(?i)\.(gif|png)$`},
		{in: `^/(?<id>\d+)$`, re: `^/(?<id>\d+)$`},
		{in: `/\.(?!well-known).*`, re: `/\..*`, not: `/\.(?:well-known)`, noted: true},
		{in: `\.bak$|/(\.(?!a(b|c)).*)`, re: `\.bak$|/(\..*)`, not: `/(\.(?:a(b|c)))`, noted: true},
		{in: `(?!a)(?!b)`, refuse: true},
		{in: `a(?=b)`, refuse: true},
		{in: `(?<!a)b`, refuse: true},
		{in: `(a)\1`, refuse: true},
		{in: `(`, refuse: true},
		{in: `)(?!)`, refuse: true},
	} {
		re, not, note, err := translateRegexp(c.in, c.insensitive)
		if re != c.re || not != c.not || (note != "") != c.noted || (err != nil) != c.refuse {
			t.Errorf("%s: have %q, %q, %q, %v", c.in, re, not, note, err)
		}
	}
}

func TestExpandGroups(t *testing.T) {
	for _, c := range []struct {
		in     string
		groups int
		want   string // "" for an error
	}{
		{"https://$host$request_uri", 0, "https://{host}{uri}"},
		{"/new/$1/${2}x", 2, "/new/{re.1}/{re.2}x"},
		{"/new/$1", 0, ""},
		{"$http_user_agent", 0, "{header.User-Agent}"},
		{"/a$is_args$args", 0, "/a?{query}"},
		{"$uri$is_args$args", 0, "{uri}"},
		{`{"host": "${host}"}`, 0, `{"host": "{host}"}`},
		{"{host} {{ {a.b} {a b}", 0, "{{host} {{{ {{a.b} {a b}"},
		{"$upstream_status", 0, ""},
	} {
		have, err := expandGroups(c.in, c.groups)
		if have != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: have %q, %v, want %q", c.in, have, err, c.want)
		}
	}
}
