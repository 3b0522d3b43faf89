package php

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestNothingLeaks: the changes of a request are undone before the next.
func TestNothingLeaks(t *testing.T) {
	p, _ := httpPool(t)
	pid := get(t, p, "/pid").body.String()
	check := func(after string) {
		t.Helper()
		got := strings.Join(strings.Fields(get(t, p, "/check").body.String()), " ")
		want := "array ( 0 => true, 1 => NULL, 2 => 0, 3 => array ( ), 4 => array ( ), 5 => false, )"
		if got != want {
			t.Errorf("after %s: %s", after, got)
		}
		if got := get(t, p, "/reset").body.String(); got != "200" {
			t.Errorf("after %s: status %s", after, got)
		}
	}
	check("the start")
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for _, target := range []string{"/handlers?a=1", "/nohandlers", "/buffers", "/print", "/session?who=me", "/sessionopts"} {
		for range 3 {
			request(t, p, httpCall("POST", target, form, "b=2"))
			check(target)
		}
	}
	doHTTP(p, httpCall("POST", "/throw?a=1", form, "b=2"))
	check("/throw")
	if got := strings.Join(strings.Fields(get(t, p, "/sessioncheck").body.String()), " "); got != "array ( 0 => '', 1 => 'PHPSESSID', 2 => false, 3 => '0', 4 => true, )" {
		t.Errorf("session: %s", got)
	}
	if got := get(t, p, "/pid").body.String(); got != pid {
		t.Error("the worker was replaced")
	}
}

func sessionCookie(t *testing.T, w *recorder) string {
	t.Helper()
	for _, field := range w.header["Set-Cookie"] {
		c, err := http.ParseSetCookie(field)
		if err == nil && c.Name == "PHPSESSID" {
			return c.Value
		}
	}
	return ""
}

func withCookie(c *HTTPCall, cookie string) *HTTPCall {
	c.Request.Header = http.Header{"Cookie": {cookie}}
	return c
}

func TestSessions(t *testing.T) {
	opt := httpOptions(t)
	opt.Ini = map[string]string{"session.cookie_httponly": "1", "session.cookie_samesite": "Lax", "session.cookie_path": "/app"}
	p, log := start(t, opt)
	w := get(t, p, "/session?who=me")
	id := sessionCookie(t, w)
	if want := "PHPSESSID=" + id + "; Path=/app; HttpOnly; SameSite=Lax"; id == "" || w.header.Get("Set-Cookie") != want {
		t.Errorf("Set-Cookie: %q, want %q", w.header["Set-Cookie"], want)
	}
	if got := w.header.Get("Cache-Control"); got != "no-store, no-cache, must-revalidate" {
		t.Errorf("Cache-Control: %q", got)
	}
	again := request(t, p, withCookie(httpCall("GET", "/session?who=other", nil, ""), "PHPSESSID="+id))
	if got := strings.TrimSpace(again.body.String()); got != "me 2  other" || sessionCookie(t, again) != "" {
		t.Errorf("the second time: %q, %q", got, again.header)
	}
	// A client doesn't choose the id.
	for _, forged := range []string{"0123456789abcdef0123456789", "../../etc/passwd", "a%00b", ""} {
		w := request(t, p, withCookie(httpCall("GET", "/session?who=forger", nil, ""), "PHPSESSID="+forged))
		if id := sessionCookie(t, w); id == "" || id == forged {
			t.Errorf("%q is taken for an id: %q", forged, id)
		}
	}
	w = request(t, p, withCookie(httpCall("GET", "/regenerate", nil, ""), "PHPSESSID="+id))
	if fresh := sessionCookie(t, w); fresh == id || fresh != w.body.String() {
		t.Errorf("regenerated: %q of %q", fresh, &w.body)
	}
	if w := request(t, p, httpCall("GET", "/hello", nil, "")); len(w.header["Set-Cookie"]) > 0 || w.header.Get("Cache-Control") != "" {
		t.Errorf("without a session: %v", w.header)
	}
	w = get(t, p, "/sessionopts")
	if got := w.header.Get("Set-Cookie"); !strings.HasPrefix(got, "other=") || !strings.Contains(got, "Max-Age=100") || !strings.Contains(got, "SameSite=Strict") {
		t.Errorf("Set-Cookie: %q", got)
	}
	get(t, p, "/destroy")
	// A generator keeps the session until its end.
	id = sessionCookie(t, get(t, p, "/sessionstream"))
	again = request(t, p, withCookie(httpCall("GET", "/session?who=x", nil, ""), "PHPSESSID="+id))
	if got := again.body.String(); !strings.HasPrefix(got, "streamed 1 ") {
		t.Errorf("after a stream: %q", got)
	}
	// A session that starts after the response has begun has no cookie.
	const late = "the session was started after the response had begun"
	if strings.Contains(log.String(), late) {
		t.Error("sessions whose cookie was sent are reported as late")
	}
	if w := get(t, p, "/sessionlate"); w.header["Set-Cookie"] != nil {
		t.Errorf("%v", w.header)
	}
	log.await(t, late)
}

// TestClientsNeverMix: sessions, cookies and superglobals of clients whose
// requests interleave stay apart.
func TestClientsNeverMix(t *testing.T) { mixClients(t, 2000) }

// mixClients is TestClientsNeverMix with so many requests.
func mixClients(t *testing.T, requests int) {
	opt := httpOptions(t)
	opt.MinWorkers, opt.MaxWorkers = 3, 3
	p, _ := start(t, opt)
	var wg sync.WaitGroup
	var n, failed atomic.Int64
	for _, who := range []string{"alice", "bob"} {
		wg.Go(func() {
			id := ""
			for i := 1; n.Add(1) <= int64(requests) && failed.Load() == 0; i++ {
				c := httpCall("GET", "/session?who="+who, nil, "")
				w, err := doHTTP(p, withCookie(c, "me="+who+"; PHPSESSID="+id))
				if err != nil {
					failed.Add(1)
					t.Error(err)
					return
				}
				if fresh := sessionCookie(t, w); fresh != "" {
					if id != "" {
						failed.Add(1)
						t.Errorf("%s has another session", who)
					}
					id = fresh
				}
				if want := fmt.Sprintf("%s %d %[1]s %[1]s", who, i); w.body.String() != want {
					failed.Add(1)
					t.Errorf("%q, want %q", &w.body, want)
				}
			}
		})
	}
	wg.Wait()
}

// TestSessionsOfMessages: the session of one client's message isn't open when the
// next client's message comes.
func TestSessionsOfMessages(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Env: map[string]string{"TMPDIR": t.TempDir()}, Script: script(t, `
		session_save_path(sys_get_temp_dir());
		$ARCANGELO_USERSPACE = ['on_handle' => function () {
			$before = json_encode([$_SESSION ?? null, session_id(), session_status() === PHP_SESSION_ACTIVE]);
			session_start();
			$_SESSION['who'] ??= arca::$request;
			return $before . $_SESSION['who'];
		}];`)})
	for _, who := range []string{"alice", "bob"} {
		if got, want := mustDo(t, p, who), `[null,"",false]`+who; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestSessionOfOnStop: a session that on_stop opens is that of the same client, and
// is closed.
func TestSessionOfOnStop(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Env: map[string]string{"TMPDIR": t.TempDir()}, Script: script(t, `
		session_save_path(sys_get_temp_dir());
		$ARCANGELO_USERSPACE = [
			'on_http' => function ($r) {
				$before = json_encode([$_SESSION ?? null, session_id(), session_status() === PHP_SESSION_ACTIVE]);
				session_start();
				return $before . ($_SESSION['who'] ??= $r->query['who']) . ($_SESSION['stopped'] ?? 0);
			},
			'on_stop' => function () { session_start(); $_SESSION['stopped'] = ($_SESSION['stopped'] ?? 0) + 1; },
		];`)})
	ids := map[string]string{}
	for i := range 3 {
		for _, who := range []string{"alice", "bob"} {
			w := request(t, p, withCookie(httpCall("GET", "/?who="+who, nil, ""), "PHPSESSID="+ids[who]))
			if id := sessionCookie(t, w); id != "" {
				ids[who] = id
			}
			want := fmt.Sprintf(`[null,"",false]%s%d`, who, max(0, i-1))
			if w.body.String() != want {
				t.Errorf("%q, want %q", &w.body, want)
			}
		}
	}
}

// TestSessionsOfAnyName: a request finds its session by the name that it sets,
// whatever names other requests have set.
func TestSessionsOfAnyName(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Env: map[string]string{"TMPDIR": t.TempDir()}, Script: script(t, `
		session_save_path(sys_get_temp_dir());
		$ARCANGELO_USERSPACE = ['on_http' => function ($r) {
			match ($r->path) {
				'/name' => session_name('FOO') && session_start(),
				'/option' => session_start(['name' => 'FOO']),
				'/ini' => ini_set('session.name', 'FOO') && session_start(),
				'/default' => session_start(),
				'/id' => session_id('0123456789abcdef') && session_start(),
				'/destroy' => session_start() && session_destroy(),
				'/handler' => session_set_save_handler(new class extends SessionHandler {}) && session_start(),
			};
			$_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;
			return "$r->path {$_SESSION['n']}";
		}];`)})
	jar := map[string]string{}
	send := func(path, want string) {
		t.Helper()
		var pairs []string
		for name, id := range jar {
			pairs = append(pairs, name+"="+id)
		}
		w := request(t, p, withCookie(httpCall("GET", path, nil, ""), strings.Join(pairs, "; ")))
		for _, field := range w.header["Set-Cookie"] {
			c, err := http.ParseSetCookie(field)
			if err != nil || jar[c.Name] != "" {
				t.Fatalf("%s: another cookie %q: %v", path, field, err)
			}
			jar[c.Name] = c.Value
		}
		if got := w.body.String(); got != path+want {
			t.Errorf("%q, want %q", got, path+want)
		}
	}
	send("/name", " 1")
	send("/option", " 2")
	send("/ini", " 3")
	send("/default", " 1")
	send("/handler", " 2")
	send("/name", " 4")
	send("/default", " 3")
	if len(jar) != 2 {
		t.Errorf("cookies: %v", jar)
	}
	other := jar
	jar = map[string]string{}
	send("/id", " 1")
	jar = map[string]string{}
	send("/destroy", " 1")
	jar = other
	send("/option", " 5")
}

// TestSessionCookieParams: session_set_cookie_params applies to the cookie of its own
// request.
func TestSessionCookieParams(t *testing.T) {
	p, log := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Env: map[string]string{"TMPDIR": t.TempDir()}, Script: script(t, `
		session_save_path(sys_get_temp_dir());
		$ARCANGELO_USERSPACE = ['on_http' => function ($r) {
			if ($r->path === '/params') {
				$set = session_set_cookie_params(['path' => '/x', 'secure' => true, 'samesite' => 'Lax']);
			}
			session_start();
			return json_encode($set ?? null);
		}];`)})
	w := get(t, p, "/params")
	if got, want := w.header.Get("Set-Cookie"), "PHPSESSID="+sessionCookie(t, w)+"; Path=/x; Secure; SameSite=Lax"; got != want || w.body.String() != "true" {
		t.Errorf("%q, want %q; %s", got, want, &w.body)
	}
	w = get(t, p, "/")
	if got, want := w.header.Get("Set-Cookie"), "PHPSESSID="+sessionCookie(t, w)+"; Path=/"; got != want {
		t.Errorf("the next request: %q, want %q", got, want)
	}
	if strings.Contains(log.String(), "Warning") {
		t.Error("PHP warns")
	}
}

// TestSessionSettingsAreReset: the settings of a request are reset, even if it has no
// session.
func TestSessionSettingsAreReset(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: script(t, `
		$ARCANGELO_USERSPACE = ['on_http' => function ($r) {
			if ($r->path === '/set') {
				session_set_cookie_params(['path' => '/x', 'lifetime' => 9]);
				session_name('FOO');
				ini_set('session.gc_maxlifetime', '7');
				session_set_save_handler(new class extends SessionHandler {});
			}
			return json_encode([ini_get_all('session', false), session_module_name()]);
		}];`)})
	before := get(t, p, "/").body.String()
	if set := get(t, p, "/set").body.String(); set == before {
		t.Fatal("nothing is set")
	}
	if after := get(t, p, "/").body.String(); after != before {
		t.Errorf("%s\nbefore: %s", after, before)
	}
}

// TestOwnSaveHandler: a handler that the script sets when it loads serves all
// requests, each with the session of its client.
func TestOwnSaveHandler(t *testing.T) {
	p, log := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: script(t, `
		final class Kept implements SessionHandlerInterface, SessionUpdateTimestampHandlerInterface {
			public array $all = [];
			public function open($path, $name): bool { return true; }
			public function close(): bool { return true; }
			public function read($id): string { return $this->all[$id] ?? ''; }
			public function write($id, $data): bool { $this->all[$id] = $data; return true; }
			public function destroy($id): bool { unset($this->all[$id]); return true; }
			public function gc($lifetime): int { return 0; }
			public function validateId($id): bool { return isset($this->all[$id]); }
			public function updateTimestamp($id, $data): bool { return true; }
		}
		session_set_save_handler($kept = new Kept);
		$ARCANGELO_USERSPACE = ['on_http' => function ($r) use ($kept) {
			session_start(isset($r->query['name']) ? ['name' => $r->query['name']] : []);
			$_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;
			return $_SESSION['n'] . ' of ' . count($kept->all);
		}];`)})
	var ids []string
	for i := range 2 {
		w := get(t, p, "/")
		if got, want := w.body.String(), fmt.Sprintf("1 of %d", i); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		ids = append(ids, sessionCookie(t, w))
	}
	for i := range 2 {
		for _, id := range ids {
			w := request(t, p, withCookie(httpCall("GET", "/", nil, ""), "PHPSESSID="+id))
			if got, want := w.body.String(), fmt.Sprintf("%d of 2", i+2); got != want || len(w.header["Set-Cookie"]) > 0 {
				t.Errorf("%q, want %q; %v", got, want, w.header)
			}
		}
	}
	get(t, p, "/?name=FOO")
	log.await(t, "a session with the name FOO is a new one in each request")
}

// TestSessionsTakeNoMemory: sessions and their cookies don't pile up in a worker.
func TestSessionsTakeNoMemory(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Env: map[string]string{"TMPDIR": t.TempDir()}, Script: script(t, `
		session_save_path(sys_get_temp_dir());
		$ARCANGELO_USERSPACE = ['on_http' => function ($r) {
			session_start();
			$_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;
			return json_encode([count(headers_list()), memory_get_usage()]);
		}];`)})
	const requests = 2000
	id := sessionCookie(t, get(t, p, "/"))
	usage := func() (headers, bytes int) {
		t.Helper()
		for range requests / 20 {
			get(t, p, "/") // a new session, and its cookie
		}
		for range requests {
			w := request(t, p, withCookie(httpCall("GET", "/", nil, ""), "PHPSESSID="+id))
			if _, err := fmt.Sscanf(w.body.String(), "[%d,%d]", &headers, &bytes); err != nil {
				t.Fatal(err)
			}
		}
		return headers, bytes
	}
	_, before := usage()
	if headers, after := usage(); headers > 0 || after > before+4096 {
		t.Errorf("%d fields in PHP's header; %d bytes, then %d", headers, before, after)
	}
}
