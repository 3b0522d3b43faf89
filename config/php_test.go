package config

import (
	"strings"
	"testing"
)

// TestErrorsOfPHP: options of workers that don't fit together.
func TestErrorsOfPHP(t *testing.T) {
	const tried = "want {path}, {path}/, {path}/index.html, {path}.html, a path such as /offline.html, or worker"
	const last = "worker ends what is tried; put it at the end, and nowhere else"
	for _, c := range []struct{ name, text, want string }{
		{"try without public", php("try: ['{path}', worker]"), "3:45: backends.site.php.try: there are no files to try; set public to their folder, or take it out"},
		{"no worker", php("public: a.dir, try: ['{path}']"), "3:61: backends.site.php.try[0]: " + last},
		{"worker first", php("public: a.dir, try: [worker, '{path}']"), "3:61: backends.site.php.try[0]: " + last},
		{"worker twice", php("public: a.dir, try: [worker, worker]"), "3:61: backends.site.php.try[0]: " + last},
		{"an end", php("public: a.dir, try: [=404, worker]"), `3:61: backends.site.php.try[0]: got "=404"; ` + tried},
		{"live_reload alone", php("live_reload: true"), "3:53: backends.site.php.live_reload: nothing is watched; set watch to the folders of the application\n" +
			"3:53: backends.site.php.live_reload: it is for development, but the listener app is open to other machines; give it an address such as 127.0.0.1:8080, or take this out"},
		{"watch of nothing", php("watch: [a.dir, b.missing]"), "3:55: backends.site.php.watch[1]: b.missing doesn't exist; relative paths start at the folder of the configuration file"},
		{"a query", php("public: a.dir, try: ['/x?y', worker]"), `3:61: backends.site.php.try[0]: got "/x?y"; ` + tried},
	} {
		t.Run(c.name, func(t *testing.T) { wantErrors(t, c.text, c.want) })
	}
	for _, address := range []string{":80", "0.0.0.0:80", "192.0.2.1:80", "example.org:80", "[::]:80"} {
		text := withLine("listeners", `listeners: {web: {http: {address: "`+address+`"}}}`)
		text = strings.Replace(text, "{script: s.php}", "{script: s.php, dev: true}", 1)
		wantErrors(t, text, "3:45: backends.site.php.dev: it is for development, but the listener web is open to other machines; give it an address such as 127.0.0.1:8080, or take this out")
	}
	for _, address := range []string{"127.0.0.1:80", "[::1]:80", "localhost:80", "127.7.7.7:80"} {
		text := withLine("listeners", `listeners: {web: {http: {address: "`+address+`"}}}`)
		mustParse(t, strings.Replace(text, "{script: s.php}", "{script: s.php, dev: true}", 1))
	}
	cfg := mustParse(t, php("public: a.dir, try: ['{path}', '{path}/', '{path}.html', /offline.html, worker]"))
	if p := cfg.Backends[0].PHP; p.Public != "a.dir" || len(p.Try) != 5 {
		t.Errorf("%q %q", p.Public, p.Try)
	}
}

// TestUserWithoutRoot: only root can run processes as another user.
func TestUserWithoutRoot(t *testing.T) {
	s := fakeSystem(fakeStat, nil)
	s.uid = func() int { return 33 }
	const want = "only root can start processes as another user or group, and mkd runs as the user 33; take it out, or start mkd as root"
	for _, c := range []struct{ text, want string }{
		{php("user: www"), "config.yaml:3:46: backends.site.php.user: " + want},
		{php("group: www"), "config.yaml:3:47: backends.site.php.group: " + want},
		{withLine("backends", "backends: {site: {fastcgi: {root: a.dir, spawn: {user: www}}}}"), "config.yaml:3:56: backends.site.fastcgi.spawn.user: " + want},
		{minimal, ""},
	} {
		_, err := s.parse("config.yaml", []byte(c.text), ".")
		if err == nil && c.want == "" {
			continue
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("have %v\nwant %s", err, c.want)
		}
	}
}
