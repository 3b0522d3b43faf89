package php

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestClientThatLeaves: a generator that nobody listens to ends, and the worker
// goes on.
func TestClientThatLeaves(t *testing.T) {
	p, _ := httpPool(t)
	pid := get(t, p, "/pid").body.String()
	gone := errors.New("the client is gone")
	for name, w := range map[string]*recorder{"body": {refuse: gone}, "head": {decline: gone}} {
		done := filepath.Join(t.TempDir(), "done")
		if err := p.DoHTTP(t.Context(), httpCall("GET", "/endless?done="+done, nil, ""), w); err != gone {
			t.Errorf("%s: error %v", name, err)
		}
		if _, err := os.Stat(done); err != nil {
			t.Errorf("%s: the generator didn't end: %v", name, err)
		}
	}
	if err := p.DoHTTP(t.Context(), httpCall("GET", "/big?n=10000000", nil, ""), &recorder{refuse: gone}); err != gone {
		t.Errorf("error %v", err)
	}
	if err := p.DoHTTP(t.Context(), httpCall("GET", "/hello", nil, ""), &recorder{refuse: gone}); err != gone {
		t.Errorf("error %v", err)
	}
	if got := get(t, p, "/pid").body.String(); got != pid {
		t.Error("the worker was replaced")
	}
}

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

// frameText returns a frame in the name of the request under way.
func frameText(typ frameType, head, body string) string {
	p := make([]byte, frameHeaderSize)
	(&frameHeader{typ: typ, head: len(head), body: int64(len(body))}).put(p)
	return string(p[:8]) + "<request>" + head + body
}

// headOf returns the head of a HEAD.
func headOf(status int, length uint64) string {
	return string(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint16(nil, uint16(status)), length))
}

// TestWorkersThatLie: what no HTTP answer can be ends the worker, and is its
// client's error alone.
func TestWorkersThatLie(t *testing.T) {
	const memory = "\x00\x00\x00\x00\x00\x10\x00\x00"
	head := frameText(frameHead, headOf(200, unknownLength), "")
	end := frameText(frameEnd, memory, "")
	three := frameText(frameHead, headOf(200, 3), "")
	for name, frames := range map[string]string{
		"no head":             end,
		"a part before":       frameText(framePart, "", "x") + head + end,
		"two heads":           head + head + end,
		"status 0":            frameText(frameHead, headOf(0, 0), "") + end,
		"status 100":          frameText(frameHead, headOf(100, 0), "") + end,
		"status 600":          frameText(frameHead, headOf(600, 0), "") + end,
		"a negative length":   frameText(frameHead, headOf(200, 1<<63), "") + end,
		"a short head":        frameText(frameHead, "\x00\xc8", "") + end,
		"too long":            three + frameText(frameEnd, memory, "four"),
		"too long in parts":   three + frameText(framePart, "", "ab") + frameText(framePart, "", "cd") + end,
		"too short":           three + frameText(framePart, "", "ab") + end,
		"body with 204":       frameText(frameHead, headOf(204, unknownLength), "") + frameText(frameEnd, memory, "x"),
		"split":               frameText(frameHead, headOf(200, 0), "X\x00a\r\nY: b\x00") + end,
		"a name with a colon": frameText(frameHead, headOf(200, 0), "X:\x00a\x00") + end,
		"no name":             frameText(frameHead, headOf(200, 0), "\x00a\x00") + end,
		"a name alone":        frameText(frameHead, headOf(200, 0), "X\x00") + end,
		"no NUL at the end":   frameText(frameHead, headOf(200, 0), "X\x00a\x00Y") + end,
		"a large header":      frameText(frameHead, headOf(200, 0), "X\x00"+strings.Repeat("a", maxAnswerHeader)+"\x00") + end,
		"many fields":         frameText(frameHead, headOf(200, 0), strings.Repeat("X\x00\x00", maxAnswerFields+1)) + end,
		"the frame of a call": frameText(frameHTTP, "", ""),
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := start(t, Options{PHP: os.Args[0], Script: "testdata/http.php", MinWorkers: 1, MaxWorkers: 1,
				Env: map[string]string{"FAKE_WORKER": "answer " + url.QueryEscape(frames)}})
			var broken *WorkerError
			if w, err := doHTTP(p, httpCall("GET", "/", nil, "")); !errors.As(err, &broken) {
				t.Errorf("error %v, %+v", err, w)
			}
		})
	}
	p, _ := start(t, Options{PHP: os.Args[0], Script: "testdata/http.php", MinWorkers: 1, MaxWorkers: 1,
		Env: map[string]string{"FAKE_WORKER": "answer " + url.QueryEscape(three+frameText(framePart, "\x01", "ab")+frameText(frameEnd, memory, "c"))}})
	for range 3 {
		if w := get(t, p, "/"); w.body.String() != "abc" || w.length != 3 || w.flushes != 1 {
			t.Errorf("%+v", w)
		}
	}
	// A raw message has no HEAD.
	var broken *WorkerError
	if _, err := do(p, "x"); !errors.As(err, &broken) {
		t.Errorf("a HEAD for a raw message: %v", err)
	}
}

// TestRequestsThatCantBe are refused before they reach a worker.
func TestRequestsThatCantBe(t *testing.T) {
	p, _ := httpPool(t)
	pid := get(t, p, "/pid").body.String()
	for name, c := range map[string]*HTTPCall{
		"a NUL in a field": httpCall("GET", "/", http.Header{"X": {"a\x00b"}}, ""),
		"a short body":     httpCall("PUT", "/", nil, "x"),
	} {
		if c.Request.ContentLength > 0 {
			c.Request.ContentLength++
		}
		if _, err := doHTTP(p, c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got := request(t, p, httpCall("GET", "/pid", http.Header{"X-Large": {strings.Repeat("x", 100_000)}}, "")); got.body.String() != pid {
		t.Error("the worker was replaced")
	}
}

// TestUploadsOfAnotherUser: files belong to the workers' user, who can move them.
func TestUploadsOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can change the user of workers")
	}
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"http.php", "globals.php"} {
		code, err := os.ReadFile("testdata/" + name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), code, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	p, _ := start(t, Options{Script: filepath.Join(dir, "http.php"), User: "www-data", MinWorkers: 1, MaxWorkers: 1,
		UploadDir: dir, Env: map[string]string{"TMPDIR": dir}})
	w := request(t, p, multipartCall("/uploads", filePart("f[]", "a", "content")+"--b--"))
	if f := strings.Fields(w.body.String()); len(f) != 3 || f[1] != hash("content") || f[2] != "1" {
		t.Errorf("%q", &w.body)
	}
	to := filepath.Join(dir, "moved")
	if w := request(t, p, multipartCall("/move?to="+to, filePart("f", "a", "content")+"--b--")); w.body.String() != "7" {
		t.Errorf("%q", &w.body)
	}
	if left := filesBelow(t, dir); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
}

// TestMemoryStaysFlat: large bodies pass through without being kept in memory.
func TestMemoryStaysFlat(t *testing.T) {
	p, _ := uploadPool(t, Options{})
	const size = 100 << 20
	allocated := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.TotalAlloc
	}
	for name, c := range map[string]*HTTPCall{
		"form": multipartCall("/uploads", "x"),
		"body": httpCall("PUT", "/hashstream", nil, "x"),
	} {
		body := io.Reader(&endless{left: size})
		if name == "form" {
			body = io.MultiReader(strings.NewReader("--b\r\nContent-Disposition: form-data; name=\"f[]\"; filename=\"x\"\r\n\r\n"), body, strings.NewReader("\r\n--b--"))
		}
		c.Request.Body, c.Request.ContentLength = io.NopCloser(body), -1
		before := allocated()
		request(t, p, c)
		if n := allocated() - before; n > 8<<20 {
			t.Errorf("%s: %d bytes were allocated", name, n)
		}
	}
}
