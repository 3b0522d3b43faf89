package php

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// leaky has a planted leak for each path.
const leaky = `
	class Basket { public static array $items = []; public function add() { static $n = 0; return ++$n; } }
	class Registry { public array $users = []; public ?object $current = null; }
	function counted() { static $calls = []; $calls[] = 1; }
	$list = []; $registry = new Registry; $basket = new Basket; $keep = null; $hidden = new SplObjectStorage;
	$captured = 0; $still = ['a' => [1, 2, 3]];
	$ARCANGELO_USERSPACE = ['on_http' => function ($r) use (&$captured) {
		global $list, $registry, $basket, $keep;
		switch ($r->path) {
			case '/global': $list[] = 'x'; break;
			case '/newglobal': $GLOBALS['fresh'] = 1; break;
			case '/static': Basket::$items[] = 'x'; break;
			case '/method': $basket->add(); break;
			case '/function': counted(); break;
			case '/property': $registry->users['ada'] = true; break;
			case '/object': $registry->current = new stdClass; break;
			case '/closure': $captured++; break;
			case '/ini': ini_set('precision', '5'); break;
			case '/env': putenv('LEFT=1'); break;
			case '/handler': set_error_handler(fn () => true); break;
			case '/exceptions': set_exception_handler(fn () => null); break;
			case '/buffer': ob_start(); echo 'open'; break;
			case '/stream': $GLOBALS['keep'] = 1; $GLOBALS['keep'] = null; $keep = fopen(__FILE__, 'rb'); break;
			case '/locale': setlocale(LC_ALL, 'C.UTF-8'); break;
			case '/timezone': date_default_timezone_set('Asia/Tokyo'); break;
			case '/chdir': chdir('/'); break;
			case '/autoload': spl_autoload_register(fn () => null); break;
			case '/umask': umask(0); break;
			case '/wrapper': stream_wrapper_register('left', 'Basket'); break;
			case '/storage': $GLOBALS['hidden']->attach(new stdClass); break;
			case '/secret': $GLOBALS['keep'] = 'a password'; putenv('PASSWORD=secret'); break;
		}
		return 'done';
	}];`

// TestLeaks: what requests leave behind is named, once, with the first request that
// did it.
func TestLeaks(t *testing.T) {
	p, log := start(t, Options{MinWorkers: 1, MaxWorkers: 1, DetectLeaks: true, Script: script(t, leaky)})
	for range 3 {
		get(t, p, "/nothing")
	}
	if found := p.Leaks().Found; len(found) > 0 {
		t.Fatalf("found without a leak: %+v", found)
	}
	planted := map[string]string{
		"/global":     "$list",
		"/newglobal":  "$fresh",
		"/static":     "Basket::$items",
		"/method":     "Basket::add() static $n",
		"/function":   "counted() static $calls",
		"/property":   "$registry->users",
		"/object":     "$registry->current",
		"/closure":    "$ARCANGELO_USERSPACE['on_http']->$captured",
		"/ini":        "ini precision",
		"/env":        "environment LEFT",
		"/handler":    "error handler",
		"/exceptions": "exception handler",
		"/buffer":     "output buffers",
		"/stream":     "stream ",
		"/locale":     "locale",
		"/timezone":   "timezone",
		"/chdir":      "working directory",
		"/autoload":   "autoloaders",
		"/umask":      "umask",
		"/wrapper":    "stream wrappers",
		"/storage":    "$hidden",
		"/secret":     "$keep",
	}
	for _, path := range slices.Sorted(maps.Keys(planted)) {
		before := len(p.Leaks().Found)
		get(t, p, path)
		get(t, p, "/nothing")
		get(t, p, path)
		var names []string
		for _, leak := range p.Leaks().Found[before:] {
			if leak.Path != path {
				t.Errorf("%s: the first request was %+v", path, leak)
			}
			names = append(names, leak.What)
		}
		if !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, planted[path]) }) {
			t.Errorf("%s: found %q, want %q", path, names, planted[path])
		}
		if path == "/global" && len(names) != 1 {
			t.Errorf("%s: found %q", path, names)
		}
	}
	if strings.Contains(log.String(), "a password") || strings.Contains(log.String(), "=secret") {
		t.Error("a secret is in the log")
	}
	log.await(t, `left behind by GET /global: $list: array of 1, was array of 0`)
	if n := strings.Count(log.String(), "left behind by GET /global: "); n != 1 {
		t.Errorf("/global is logged %d times", n)
	}
	if err := p.Replace(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l := p.Leaks(); len(l.Found) > 0 || len(l.Routes) > 0 {
		t.Errorf("what the old script has left behind is still listed: %+v", l)
	}
}

// TestMemoryByRoute: the memory that requests keep is counted by route, and a large
// growth is a leak even if nobody knows where it is.
func TestMemoryByRoute(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, DetectLeaks: true, Script: script(t, `
		$ARCANGELO_USERSPACE = ['on_http' => function ($r) {
			if ($r->path === '/grow') { libxml_set_external_entity_loader(null); register_shutdown_function(fn ($x) => null, str_repeat('x', 1 << 20)); }
			return 'done';
		}];`)})
	ask := func(route string) {
		c := httpCall("GET", "/"+route, http.Header{}, "")
		c.Route = route
		request(t, p, c)
	}
	for range 5 {
		ask("flat")
	}
	for range 3 {
		ask("grow")
	}
	l := p.Leaks()
	if len(l.Routes) != 2 || l.Routes[0].Route != "grow" || l.Routes[0].Requests != 3 || l.Routes[0].Bytes < 3<<20 || l.Routes[1].Bytes > 1<<20 {
		t.Errorf("%+v", l.Routes)
	}
	if !slices.ContainsFunc(l.Found, func(leak Leak) bool { return leak.What == "memory" && leak.Route == "grow" && leak.Requests == 3 }) {
		t.Errorf("%+v", l.Found)
	}
}

// TestLeaksAreBounded: hostile names don't fill the memory.
func TestLeaksAreBounded(t *testing.T) {
	var b leakBook
	for i := range 2 * maxLeaks {
		b.add(task{route: fmt.Sprint(i)}, 1, map[string]string{strings.Repeat("x", 1000) + fmt.Sprint(i): "y", fmt.Sprint(i): "z"})
	}
	if len(b.found) != maxLeaks || len(b.routes) != maxLeakRoutes {
		t.Errorf("%d leaks, %d routes", len(b.found), len(b.routes))
	}
}

// TestLeakAfterTheResponse: what a request leaves behind is found after its response, when
// its caller may have made another request of the http.Request.
func TestLeakAfterTheResponse(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, DetectLeaks: true, Script: script(t, `
		$list = [];
		$ARCANGELO_USERSPACE = [
			'on_http' => function ($r) { $GLOBALS['until'] = $r->query['until']; $GLOBALS['list'][] = 1; return 'done'; },
			'on_stop' => function () { for ($i = 0; $i < 20000 && !file_exists($GLOBALS['until']); $i++) { usleep(1000); clearstatcache(); } },
		];`)})
	until := filepath.Join(t.TempDir(), "until")
	c := httpCall("PUT", "/first?until="+url.QueryEscape(until), nil, "")
	request(t, p, c)
	c.Request.Method, c.Request.URL = "DELETE", &url.URL{Path: "/other"}
	if err := os.WriteFile(until, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the leak is found", func() bool { return len(p.Leaks().Found) > 0 })
	for _, l := range p.Leaks().Found {
		if l.Method != "PUT" || l.Path != "/first" {
			t.Errorf("%s: first by %s %s", l.What, l.Method, l.Path)
		}
	}
}
