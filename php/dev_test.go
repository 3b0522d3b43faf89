package php

import (
	"net/http"
	"strings"
	"testing"
)

// TestDev: with Dev a browser gets a page about an exception, another client its text,
// and what was dumped. Nothing of a request is taken for HTML.
func TestDev(t *testing.T) {
	const code = `
		function thrower($r) { throw new LogicException('<b>outer</b>', 0, new RuntimeException('inner')); }
		$ARCANGELO_USERSPACE = ['on_http' => function ($r) {
			switch ($r->path) {
				case '/throw': echo 'printed before'; thrower($r);
				case '/dump': dump(['tea' => '<green>'], 42); return 'returned';
				case '/dd': dd($r->query); return 'never';
				case '/late': return (function () { yield 'part'; throw new Exception('too late'); })();
				case '/finish': arca\\finish('whole'); throw new Exception('after');
				case '/pid': return (string) getmypid();
			}
		}];`
	p, log := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Dev: true, Script: script(t, strings.ReplaceAll(code, `\\`, `\`))})
	pid := get(t, p, "/pid").body.String()
	browser := http.Header{"Accept": {"text/html,*/*"}, "X-Evil": {"<script>alert(1)</script>"}}
	for _, c := range []struct {
		target string
		header http.Header
		status int
		want   []string
	}{
		{"/throw?a=<i>", browser, 500, []string{"<!DOCTYPE html>", "LogicException: &lt;b&gt;outer", "RuntimeException: inner", `class="at"`, "function thrower", "printed before", "&lt;script&gt;alert(1)", "&lt;i&gt;", "thrower()"}},
		{"/throw", nil, 500, []string{"RuntimeException: inner", "Next LogicException: <b>outer</b>"}},
		{"/dump", browser, 200, []string{"<pre><i>", "script.php:", "&lt;green&gt;", "int(42)", "returned"}},
		{"/dump", nil, 200, []string{"script.php:", "<green>", "returned"}},
		{"/dd?a=1", browser, 500, []string{"<pre><i>", "[&quot;a&quot;]"}},
		{"/finish", browser, 200, []string{"whole"}},
	} {
		w := request(t, p, httpCall("GET", c.target, c.header, ""))
		body := w.body.String()
		for _, want := range c.want {
			if w.status != c.status || !strings.Contains(body, want) {
				t.Errorf("%s: %d, %q is missing in %.2000q", c.target, w.status, want, body)
			}
		}
		if strings.Contains(body, "<script>") || strings.HasSuffix(body, "never") {
			t.Errorf("%s: %q", c.target, body)
		}
	}
	log.await(t, "Next LogicException: <b>outer</b>")
	if _, err := doHTTP(p, httpCall("GET", "/late", browser, "")); err == nil {
		t.Error("an exception after the response has begun: no error")
	}
	if got := get(t, p, "/pid").body.String(); got != pid {
		t.Error("the worker was replaced")
	}
	plain, _ := httpPool(t)
	if _, err := doHTTP(plain, httpCall("GET", "/throw", browser, "")); err == nil {
		t.Error("a page without Dev")
	}
}

// TestDevShowsWhyTheScriptDoesntLoad: with Dev the error has the lines of source around
// it.
func TestDevShowsWhyTheScriptDoesntLoad(t *testing.T) {
	p, _ := newPool(t, Options{MinWorkers: 1, MaxWorkers: 1, Dev: true, Script: script(t, "// before\nfunction broken( {\n// after")})
	err := p.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "ParseError: ") || !strings.Contains(err.Error(), "     2  // before\n>    3  function broken( {\n     4  // after") {
		t.Errorf("Start: %v", err)
	}
}
