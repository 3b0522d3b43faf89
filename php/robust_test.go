package php

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBarePHP: workers run on a PHP without php.ini, without OPcache, mbstring, ctype,
// posix and all else that is an extension of its own, and without pcntl.
func TestBarePHP(t *testing.T) {
	php, err := exec.LookPath("php")
	if err != nil {
		t.Fatal(err)
	}
	bare := filepath.Join(t.TempDir(), "php")
	if err := os.WriteFile(bare, []byte("#!/bin/sh\nexec "+php+" -n \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, PHP: bare, UploadDir: t.TempDir(),
		Ini: map[string]string{"disable_functions": "pcntl_alarm,pcntl_fork,pcntl_signal,pcntl_signal_get_handler,pcntl_sigprocmask,pcntl_async_signals"},
		Script: script(t, `$ARCANGELO_USERSPACE = [
			'on_handle' => fn () => strrev(arca::$request),
			'on_http' => function ($r) {
				session_save_path(sys_get_temp_dir());
				if ($r->path === '/upload') { return $r->files['f']->contents(); }
				if ($r->path === '/extensions') { return implode(' ', array_map(fn ($e) => $e . (int) extension_loaded($e), ['mbstring', 'ctype', 'Zend OPcache', 'posix'])) . (int) function_exists('pcntl_signal'); }
				return (new arca\Response(json_encode([$r->form, $r->cookies, $r->body()]), 200, ['Content-Length' => '1000']))->cookie('a', 'b');
			}];`)})
	if got := get(t, p, "/extensions").body.String(); got != "mbstring0 ctype0 Zend OPcache0 posix00" {
		t.Fatalf("this PHP isn't bare: %s", got)
	}
	c := httpCall("POST", "/", map[string][]string{"Content-Type": {"application/x-www-form-urlencoded"}, "Cookie": {"c=d"}}, "x=1")
	if w := request(t, p, c); w.body.String() != `[{"x":"1"},{"c":"d"},"x=1"]` {
		t.Errorf("%q", &w.body)
	}
	if w := request(t, p, multipartCall("/upload", filePart("f", "a", "content")+"--b--")); w.body.String() != "content" {
		t.Errorf("%q", &w.body)
	}
	if got := mustDo(t, p, "abc"); got != "cba" {
		t.Errorf("%q", got)
	}
}

// TestMissingFunctions: a function that only a request would need is missed when the
// worker starts.
func TestMissingFunctions(t *testing.T) {
	for _, functions := range []string{"parse_str", "stream_select,tempnam", "getmypid", "ini_set"} {
		p, _ := newPool(t, Options{MinWorkers: 1, MaxWorkers: 1, Ini: map[string]string{"disable_functions": functions}})
		err := p.Start(t.Context())
		for _, name := range strings.Split(functions, ",") {
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("without %s: %v", name, err)
			}
		}
	}
}

// TestWindowsFiles: a script that was written on Windows runs.
func TestWindowsFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.php")
	code := "\xef\xbb\xbf<?php\r\n// a comment\r\n$ARCANGELO_USERSPACE = [\r\n\t'on_http' => function ($r) {\r\n\t\treturn 'well';\r\n\t},\r\n];\r\n?>\r\n"
	if err := os.WriteFile(path, []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: path})
	if w := get(t, p, "/"); w.body.String() != "well" {
		t.Errorf("%q", &w.body)
	}
}

// TestPreloading: opcache.preload works in workers.
func TestPreloading(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "preload.php"), []byte("<?php final class Preloaded { public const AT = __LINE__; }"), 0o644); err != nil {
		t.Fatal(err)
	}
	ini := map[string]string{"opcache.preload": filepath.Join(dir, "preload.php")}
	if os.Geteuid() == 0 {
		ini["opcache.preload_user"] = "root"
	}
	p, _ := start(t, Options{MinWorkers: 2, MaxWorkers: 2, Ini: ini, Script: script(t, `
		$ARCANGELO_USERSPACE = ['on_http' => fn () => Preloaded::AT . ' ' . implode(',', opcache_get_status(false)['preload_statistics']['classes'] ?? []) . ' ' . implode(opcache_get_status(true)['preload_statistics']['classes'] ?? [])];`)})
	if got := get(t, p, "/").body.String(); !strings.HasPrefix(got, "1 ") || !strings.Contains(got, "Preloaded") {
		t.Errorf("%q", got)
	}
}
