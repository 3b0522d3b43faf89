package config

import "testing"

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
		{"a query", php("public: a.dir, try: ['/x?y', worker]"), `3:61: backends.site.php.try[0]: got "/x?y"; ` + tried},
	} {
		t.Run(c.name, func(t *testing.T) { wantErrors(t, c.text, c.want) })
	}
	cfg := mustParse(t, php("public: a.dir, try: ['{path}', '{path}/', '{path}.html', /offline.html, worker]"))
	if p := cfg.Backends[0].PHP; p.Public != "a.dir" || len(p.Try) != 5 {
		t.Errorf("%q %q", p.Public, p.Try)
	}
}
