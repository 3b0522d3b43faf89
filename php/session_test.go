package php

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestNothingLeaks: what a request has changed is put back before the next.
func TestNothingLeaks(t *testing.T) {
	p, _ := httpPool(t)
	pid := get(t, p, "/pid").body.String()
	check := func(after string) {
		t.Helper()
		got := strings.Join(strings.Fields(get(t, p, "/check").body.String()), " ")
		want := "array ( 0 => true, 1 => NULL, 2 => 2, 3 => array ( ), 4 => array ( ), 5 => false, )"
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
	p, _ := start(t, opt)
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
	// A generator has the session until its end.
	id = sessionCookie(t, get(t, p, "/sessionstream"))
	again = request(t, p, withCookie(httpCall("GET", "/session?who=x", nil, ""), "PHPSESSID="+id))
	if got := again.body.String(); !strings.HasPrefix(got, "streamed 1 ") {
		t.Errorf("after a stream: %q", got)
	}
}

// TestClientsNeverMix: sessions, cookies and superglobals of clients whose
// requests interleave stay apart.
func TestClientsNeverMix(t *testing.T) {
	opt := httpOptions(t)
	opt.MinWorkers, opt.MaxWorkers = 3, 3
	p, _ := start(t, opt)
	requests := 10_000
	if testing.Short() {
		requests = 1000
	}
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
