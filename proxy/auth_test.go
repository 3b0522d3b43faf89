package proxy

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// usersFile writes a file of users, whose passwords are their names in capitals.
func usersFile(t *testing.T, names ...string) string {
	t.Helper()
	var text strings.Builder
	for _, name := range names {
		hash, err := bcrypt.GenerateFromPassword([]byte(strings.ToUpper(name)), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(name + ":" + string(hash) + "\n")
	}
	file := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// basicAs returns the field with which a user authenticates.
func basicAs(name, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password)) + "\r\n"
}

// TestBasicThroughAllListeners: who has the right password passes, on no path anybody
// else does, and guards of routes inside of each other add up.
func TestBasicThroughAllListeners(t *testing.T) {
	rec := newRecorder(t, nil)
	p, log := everyListener(t, rec.URL, `
  - match: {paths: [/admin/*]}
    auth: {basic: {users_file: `+usersFile(t, "ann", "bob")+`, realm: admins}}
    headers: {request: {set: {X-User: "{user}"}}, response: {set: {X-Was: "{user}"}}}
    routes:
      - {match: {paths: [/admin/root/*]}, auth: {basic: {users_file: `+usersFile(t, "bob")+`}}, backend: api}
      - {match: {not: {paths: [/admin/none]}}, backend: api}
  - {backend: api}
`)
	ask := func(way int, path, fields string) string {
		t.Helper()
		return string(allWays[way].send(t, p, "GET "+path+" HTTP/1.1\r\nHost: example.org\r\n"+fields+"\r\n"))
	}
	for way := range allWays {
		name := allWays[way].name
		for _, c := range trickyPaths {
			response := ask(way, c.path, "")
			if c.refused && (response == "" || strings.HasPrefix(response, "HTTP/1.1 400 ")) {
				continue
			}
			if c.refused || !strings.HasPrefix(response, "HTTP/1.1 401 ") || !strings.Contains(response, `Basic realm="admins", charset="UTF-8"`) {
				t.Errorf("%s over %s: %q", c.path, name, response)
			}
		}
		for _, c := range []struct {
			path, fields string
			status       string
		}{
			{"/admin/x", basicAs("ann", "ANN"), "200"},
			{"/admin", basicAs("bob", "BOB"), "200"},
			{"/Admin;a/x", basicAs("bob", "BOB"), "200"},
			{"/admin/x", basicAs("ann", "BOB"), "401"},
			{"/admin/root/x", basicAs("bob", "BOB"), "200"}, // both files have bob
			{"/admin/root/x", basicAs("ann", "ANN"), "401"},
			{"/admin/none", "", "401"},
			{"/admin/none", basicAs("ann", "ANN"), "404"},
			{"/open", "", "200"},
		} {
			response := ask(way, c.path, c.fields)
			if !strings.HasPrefix(response, "HTTP/1.1 "+c.status+" ") {
				t.Errorf("%s with %q over %s: %q, want %s", c.path, c.fields, name, response, c.status)
			}
			saw := rec.take()
			if passes := c.status == "200"; len(saw) != map[bool]int{true: 1}[passes] {
				t.Errorf("%s with %q over %s: the upstream saw %q", c.path, c.fields, name, saw)
			} else if passes && c.fields != "" && (!strings.Contains(saw[0].headers, "X-User: ") || !strings.Contains(response, "X-Was: ")) {
				t.Errorf("%s over %s: the user is missing in %q and %q", c.path, name, saw, response)
			}
		}
	}
	awaitLog(t, log, "the name or the password is wrong")
}

// TestBruteForceThroughListeners: an address that has failed too often gets 429, by
// whatever listener it comes.
func TestBruteForceThroughListeners(t *testing.T) {
	rec := newRecorder(t, nil)
	known, unknown := newTokenIssuer(t), newTokenIssuer(t)
	for name, c := range map[string]struct{ guard, fields string }{
		"basic": {"{basic: {users_file: " + usersFile(t, "ann") + "}}", basicAs("ann", "x")},
		"jwt":   {known.guard(), "Authorization: Bearer " + unknown.token("ann") + "\r\n"},
	} {
		p, _ := everyListener(t, rec.URL, "  - {auth: "+c.guard+", backend: api}\n")
		var statuses []int
		for i := range 15 {
			response := allWays[i%len(allWays)].send(t, p, "GET / HTTP/1.1\r\nHost: a\r\n"+c.fields+"\r\n")
			statuses = append(statuses, status(t, response))
			if i == 14 && !strings.Contains(string(response), "Retry-After: ") {
				t.Errorf("%s: %q", name, response)
			}
		}
		if statuses[9] != 401 || statuses[14] != 429 {
			t.Errorf("%s: statuses %v", name, statuses)
		}
	}
}

// TestForwardAuth: what a client sends under the names of copied fields never reaches
// the upstream, and only 2xx passes.
func TestForwardAuth(t *testing.T) {
	var mu sync.Mutex
	var asked []http.Header
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.Header.Clone())
		mu.Unlock()
		if r.Method != "GET" || r.URL.Path != "/check" || r.ContentLength > 0 {
			t.Errorf("asked by %s %s with %d bytes", r.Method, r.URL, r.ContentLength)
		}
		switch r.Header.Get("X-Want") {
		case "pass":
			w.Header().Set("Remote-User", "ann")
			w.Header()["Remote-Groups"] = []string{"a", "b"}
			w.Header().Set("X-Other", "no")
			w.WriteHeader(202)
		case "no user":
			w.WriteHeader(204)
		case "login":
			w.Header().Set("Set-Cookie", "state=1")
			http.Redirect(w, r, "https://login.example.org/?rd="+r.Header.Get("X-Forwarded-Uri"), http.StatusFound)
		case "hang":
			<-r.Context().Done()
		case "broken":
			panic(http.ErrAbortHandler)
		case "304":
			w.WriteHeader(304)
		default:
			w.Header().Set("WWW-Authenticate", "Custom")
			w.WriteHeader(401)
			io.WriteString(w, "who are you?")
		}
	}))
	defer auth.Close()
	rec := newRecorder(t, nil)
	p, _ := everyListener(t, rec.URL, `
  - match: {paths: [/app/*]}
    auth: {forward: {url: `+auth.URL+`/check, copy: [Remote-User, remote-groups], timeout: 500ms}}
    headers: {request: {set: {X-User: "{user}"}}}
    strip_prefix: /app
    backend: api
  - {backend: api}
`)
	const smuggled = "Remote-User: root\r\nREMOTE-USER: root\r\nRemote_User: root\r\nRemote.User: root\r\nRemote-Groups: admins\r\nRemote-Groups: wheel\r\n"
	for _, way := range allWays {
		for _, c := range []struct {
			name, fields string
			status       int
			response     string // contained in the response
			headers      string // what the upstream gets of those that are copied
		}{
			{"passes", "X-Want: pass\r\n", 200, "ok", "Remote-Groups: a\nRemote-Groups: b\nRemote-User: ann\nX-User: ann\n"},
			{"smuggled", "X-Want: pass\r\n" + smuggled, 200, "ok", "Remote-Groups: a\nRemote-Groups: b\nRemote-User: ann\nX-User: ann\n"},
			{"smuggled, and no answer", "X-Want: no user\r\n" + smuggled, 200, "ok", "X-User: \n"},
			{"named by Connection", "X-Want: pass\r\nConnection: close, Remote-User, X-Forwarded-Uri\r\nRemote-User: root\r\n", 200, "ok", "Remote-Groups: a\nRemote-Groups: b\nRemote-User: ann\nX-User: ann\n"},
			{"forged forwarding", "X-Want: pass\r\nX-Forwarded-Uri: /open\r\nX-Forwarded-Method: HEAD\r\nX-Original-URL: /open\r\nX-Original-Uri: /open\r\nX-Original-Method: HEAD\r\nX-Rewrite-URL: /open\r\n", 200, "ok", "Remote-Groups: a\nRemote-Groups: b\nRemote-User: ann\nX-User: ann\n"},
			{"redirect", "X-Want: login\r\n", 302, "Location: https://login.example.org/?rd=/app/x?y\r\n", ""},
			{"cookie", "X-Want: login\r\n", 302, "Set-Cookie: state=1\r\n", ""},
			{"refused", "", 401, "who are you?", ""},
			{"challenge", "", 401, "Custom", ""},
			{"not modified", "X-Want: 304\r\nIf-None-Match: x\r\n", 304, "", ""},
			{"too slow", "X-Want: hang\r\n", 503, "", ""},
			{"broken", "X-Want: broken\r\n", 503, "", ""},
		} {
			mu.Lock()
			asked = nil
			mu.Unlock()
			response := way.send(t, p, "GET /app/./x?y HTTP/1.1\r\nHost: example.org\r\n"+c.fields+"\r\n")
			if response == nil || status(t, response) != c.status || !strings.Contains(string(response), c.response) {
				t.Errorf("%s over %s: %q, want %d with %q", c.name, way.name, response, c.status, c.response)
			}
			saw := rec.take()
			if c.status != 200 {
				if len(saw) > 0 {
					t.Errorf("%s over %s: the upstream saw %q", c.name, way.name, saw)
				}
				continue
			}
			var got strings.Builder
			for line := range strings.Lines(saw[0].headers) {
				if strings.HasPrefix(strings.ToLower(line), "remote") || strings.HasPrefix(line, "X-User") || strings.HasPrefix(line, "X-Other") {
					got.WriteString(line)
				}
			}
			if len(saw) != 1 || got.String() != c.headers || saw[0].line != "GET /x?y" {
				t.Errorf("%s over %s: the upstream saw %q, want %q", c.name, way.name, saw, c.headers)
			}
			mu.Lock()
			h := asked[0]
			mu.Unlock()
			if h.Get("Remote-User") != "" || h.Get("X-Original-Url")+h.Get("X-Original-Uri")+h.Get("X-Original-Method")+h.Get("X-Rewrite-Url") != "" || h.Get("Remote_user") != "" || h.Get("X-Forwarded-Uri") != "/app/x?y" || h.Get("X-Forwarded-Method") != "GET" || h.Get("X-Forwarded-Host") != "example.org" || h.Get("X-Forwarded-For") != "127.0.0.1" {
				t.Errorf("%s over %s: the auth server was asked with %v", c.name, way.name, h)
			}
		}
		if response := way.send(t, p, "GET /open HTTP/1.1\r\nHost: example.org\r\nRemote-User: me\r\n\r\n"); response == nil || status(t, response) != 200 {
			t.Errorf("an open path over %s: %q", way.name, response)
		}
		rec.take()
	}
}

// TestForwardAuthBody: the body of a request is for the upstream alone.
func TestForwardAuthBody(t *testing.T) {
	var asked atomic.Int64
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if body, _ := io.ReadAll(r.Body); len(body) > 0 || r.Header.Get("Content-Type") != "" {
			t.Errorf("the auth server got %q of %q", body, r.Header)
		}
		if r.Header.Get("X-Forwarded-Method") != "POST" {
			w.WriteHeader(401)
		}
	}))
	defer auth.Close()
	rec := newRecorder(t, nil)
	p, _ := everyListener(t, rec.URL, "  - {auth: {forward: {url: "+auth.URL+"}}, backend: api}\n")
	for _, way := range allWays {
		response := way.send(t, p, "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nbody")
		if saw := rec.take(); response == nil || status(t, response) != 200 || len(saw) != 1 || saw[0].body != "body" {
			t.Errorf("over %s: %q, and the upstream saw %q", way.name, response, saw)
		}
	}
	if n := asked.Load(); n != int64(len(allWays)) {
		t.Errorf("the auth server was asked %d times", n)
	}
}
