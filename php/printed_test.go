package php

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// turns is a ResponseWriter that lets the script go on when its client has read what
// it waits for: each text has a file.
type turns struct {
	recorder
	release string // the files' name without the text
	want    []string
}

func (c *turns) Write(p []byte) (int, error) { return c.body.Write(p) }

func (c *turns) Flush() error {
	c.flushes++
	for len(c.want) > 0 && bytes.HasSuffix(c.body.Bytes(), []byte(c.want[0])) {
		if err := os.WriteFile(c.release+"."+c.want[0], nil, 0o600); err != nil {
			return err
		}
		c.want = c.want[1:]
	}
	return nil
}

// TestPrintedIsStreamed: what an on_http prints and flushes, in any way, reaches the
// client in order while the script goes on, and doesn't reach the log.
func TestPrintedIsStreamed(t *testing.T) {
	p, log := start(t, Options{Script: "testdata/printed.php", MinWorkers: 1, MaxWorkers: 1})
	pid := get(t, p, "/pid").body.String()
	ways := strings.Split(get(t, p, "/ways").body.String(), "\n")
	if len(ways) < 10 {
		t.Fatalf("ways: %q", ways)
	}
	ask := func(target, way string) (*turns, error) {
		c := &turns{release: filepath.Join(t.TempDir(), "go"), want: []string{"one", "two"}}
		query := url.Values{"way": {way}, "go": {c.release}}
		return c, p.DoHTTP(t.Context(), httpCall("GET", target+"?"+query.Encode(), nil, ""), c)
	}
	for _, way := range ways {
		for target, rest := range map[string]string{
			"/nothing":   "",
			"/string":    " and a string",
			"/generator": " and printed parts",
			"/response":  " and a response", // whose header is too late
			"/streamed":  " and parts",
		} {
			c, err := ask(target, way)
			if got := c.body.String(); err != nil || c.status != 200 || got != "onetwothree"+rest || len(c.want) > 0 {
				t.Errorf("%s, %s: %v, status %d, %q", way, target, err, c.status, got)
			}
			kind := "text/html; charset=UTF-8"
			if target == "/streamed" {
				kind = "text/x-own"
			}
			if got := c.header.Get("Content-Type"); got != kind || c.header.Get("X-Late") != "" {
				t.Errorf("%s, %s: %v", way, target, c.header)
			}
		}
	}
	if got := get(t, p, "/pid").body.String(); got != pid {
		t.Error("the worker was replaced")
	}
	for _, text := range []string{"one", "two", "three", "dropped", "Notice"} {
		if strings.Contains(log.String(), text) {
			t.Errorf("%q is in the log", text)
		}
	}
	log.await(t, "the status and the header of a response came too late")

	c, err := ask("/exit", "flush")
	if err != nil || c.body.String() != "onetwothree" {
		t.Errorf("exit: %v, %q", err, &c.body)
	}
	var script *ScriptError
	if c, err = ask("/throw", "flush"); !errors.As(err, &script) || c.body.String() != "onetwo" {
		t.Errorf("an exception after a flush: %v, %q", err, &c.body)
	}
}

// TestPrintedInOrder: what is printed and what is returned reach the client in
// this order.
func TestPrintedInOrder(t *testing.T) {
	p, log := start(t, Options{Script: "testdata/printed.php", MinWorkers: 1, MaxWorkers: 1})
	file, err := os.ReadFile("testdata/part.php")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		target, body string
		status       int
		length       int64
	}{
		{"/status", "not found", 404, -1},
		{"/large", strings.Repeat("x", 10_000_000), 200, -1},
		{"/order", "123456", 201, -1},
		{"/orderfile", "before the file: " + string(file), 200, int64(len("before the file: ") + len(file))},
		{"/orderlength", "printed0123456789", 200, 17},
		{"/empty", "", 404, 0},
		{"/fork", "parent, returned", 200, 16},
	} {
		w := get(t, p, c.target)
		if w.status != c.status || w.body.String() != c.body || w.length != c.length {
			t.Errorf("%s: status %d, length %d, body %.100q; want %d, %d, %.100q", c.target, w.status, w.length, &w.body, c.status, c.length, c.body)
		}
		head := request(t, p, httpCall("HEAD", c.target, nil, ""))
		if head.body.Len() > 0 || head.status != c.status {
			t.Errorf("HEAD %s: status %d, body %.100q", c.target, head.status, &head.body)
		}
	}
	if w, err := doHTTP(p, httpCall("GET", "/headersthrow", nil, "")); err == nil || w.status != 0 {
		t.Errorf("a header that is too large: %v, status %d", err, w.status)
	}
	if got := mustDo(t, p, "x"); got != "returned" {
		t.Errorf("on_handle: %q", got)
	}
	for _, text := range []string{"printed by on_handle", ", buffered", "printed by on_stop", "child"} {
		log.await(t, text)
	}
}

// TestPrintingForNobody: a handler that flushes to a client that has left ends there,
// or goes on and learns that the client has left.
func TestPrintingForNobody(t *testing.T) {
	p, _ := start(t, Options{Script: "testdata/printed.php", MinWorkers: 1, MaxWorkers: 1})
	pid := get(t, p, "/pid").body.String()
	gone := errors.New("the client has left")
	for target, want := range map[string]string{"/endless": "", "/abort": "1"} {
		file := filepath.Join(t.TempDir(), "go")
		if err := p.DoHTTP(t.Context(), httpCall("GET", target+"?go="+file, http.Header{}, ""), &recorder{refuse: gone}); err != gone {
			t.Errorf("%s: error %v", target, err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s: the handler's end: %q, %v", target, got, err)
		}
	}
	if got := get(t, p, "/pid").body.String(); got != pid {
		t.Error("the worker was replaced")
	}
}

// TestOutputBufferingOfPHP: a buffer that output_buffering starts changes nothing.
func TestOutputBufferingOfPHP(t *testing.T) {
	p, log := start(t, Options{Script: "testdata/printed.php", MinWorkers: 1, MaxWorkers: 1, Ini: map[string]string{"output_buffering": "4096"}})
	pid := get(t, p, "/pid").body.String()
	if w := get(t, p, "/order"); w.body.String() != "123456" {
		t.Errorf("%q", &w.body)
	}
	if got := get(t, p, "/pid").body.String(); got != pid {
		t.Errorf("the worker was replaced: %s", log)
	}
}

// TestPSRHandlerThatPrints: what a PSR-15 handler prints is sent before the body of
// its response, and can be streamed.
func TestPSRHandlerThatPrints(t *testing.T) {
	p, log := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: script(t, `
		require_once 'Nyholm/Psr7/autoload.php';
		$factory = new Nyholm\Psr7\Factory\Psr17Factory();
		$ARCANGELO_USERSPACE = ['on_http' => arca\psr(function ($request) use ($factory) {
			echo 'printed, ';
			if ($request->getUri()->getPath() === '/flush') {
				ob_flush();
				flush();
			}
			return $factory->createResponse(404)->withHeader('X-One', '1')->withBody($factory->createStream('returned'));
		}, $factory)];`)})
	w := get(t, p, "/")
	if w.status != 404 || w.header.Get("X-One") != "1" || w.length != 17 || w.body.String() != "printed, returned" {
		t.Errorf("%+v", w)
	}
	if w = get(t, p, "/flush"); w.status != 200 || w.length != -1 || w.writes != 2 || w.flushes == 0 || w.body.String() != "printed, returned" {
		t.Errorf("flushed: %+v", w)
	}
	if strings.Contains(log.String(), "printed, ") {
		t.Error("the log has what was printed")
	}
}

// TestDisabledFunctionsStay: mkd disables functions that it replaces, besides those
// that php.ini or the pool's settings disable.
func TestDisabledFunctionsStay(t *testing.T) {
	rc := t.TempDir()
	if err := os.WriteFile(filepath.Join(rc, "php.ini"), []byte("disable_functions=shell_exec,passthru\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	code := script(t, `$ARCANGELO_USERSPACE = ['on_handle' => fn () => json_encode(array_map(function_exists(...),
		['shell_exec', 'passthru', 'system', 'flush', 'ob_get_level', 'getallheaders', 'apache_request_headers']))];`)
	for _, c := range []struct {
		ini  map[string]string
		want string
	}{
		{nil, "[false,false,true,true,true,true,true]"},
		{map[string]string{"disable_functions": "system"}, "[true,true,false,true,true,true,true]"},
	} {
		p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: code, Ini: c.ini, Env: map[string]string{"PHPRC": rc}})
		if got := mustDo(t, p, ""); got != c.want {
			t.Errorf("%v: %s, want %s", c.ini, got, c.want)
		}
	}
}

// TestRedirectByHeader: header() has no effect but for the status, so there is a warning that
// the redirect leads nowhere.
func TestRedirectByHeader(t *testing.T) {
	p, log := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: script(t, `
		$ARCANGELO_USERSPACE = ['on_http' => function ($r) {
			if ($r->path === '/good') {
				return arca\Response::redirect('/x');
			}
			header('Location: /x');
			if ($r->path === '/exit') {
				exit;
			}
		}];`)})
	for i, c := range []struct {
		path     string
		warnings int
	}{{"/good", 0}, {"/", 1}, {"/exit", 2}} {
		if w := get(t, p, c.path); w.status != 302 {
			t.Errorf("%s: %d", c.path, w.status)
		}
		if c.warnings > 0 {
			log.await(t, "leads nowhere")
		}
		if n := strings.Count(log.String(), "leads nowhere"); n != c.warnings {
			t.Errorf("after %d requests there are %d warnings, want %d", i+1, n, c.warnings)
		}
	}
}
