//go:build linux

package proxy

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// startLaravel starts the application of examples/laravel in one worker, with more
// pages from testdata. It returns its URL, and the path of the log.
func startLaravel(t *testing.T, options string) (base, log string) {
	t.Helper()
	example, err := filepath.Abs("../examples/laravel")
	if err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("testdata/laravel.php")
	if err != nil {
		t.Fatal(err)
	}
	p, log := start(t, load(t, `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
routes:
  - backend: site
backends:
  site: {php: {script: `+script+`, workers: {min: 1, max: 1}, env: {APP_BASE: `+example+`, APP_VAR: `+t.TempDir()+`}`+options+`}}`))
	return "http://" + p.Addr("web").String(), log
}

// browser is a client with cookies of its own.
type browser struct {
	*http.Client
	base string
}

func newBrowser(base string) browser {
	jar, _ := cookiejar.New(nil)
	return browser{&http.Client{Jar: jar}, base}
}

// text returns the body of a response, which must have the status.
func (b browser) text(t *testing.T, status int, resp *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		t.Fatalf("%s: %s, %v, want %d: %.300s", resp.Request.URL, resp.Status, err, status, body)
	}
	return string(body)
}

func (b browser) get(t *testing.T, path string) string {
	t.Helper()
	resp, err := b.Get(b.base + path)
	return b.text(t, 200, resp, err)
}

var tokenField = regexp.MustCompile(`name="_token" value="(\w+)"`)

// post sends a form with the session's token.
func (b browser) post(t *testing.T, path string, form url.Values) string {
	t.Helper()
	found := tokenField.FindStringSubmatch(b.get(t, "/login"))
	if found == nil {
		t.Fatal("the page of the login has no token")
	}
	form.Set("_token", found[1])
	resp, err := b.PostForm(b.base+path, form)
	return b.text(t, 200, resp, err)
}

// TestLaravelClientsNeverMix: many clients take turns in one worker, each with a
// session, a login and rows of its own.
func TestLaravelClientsNeverMix(t *testing.T) {
	base, _ := startLaravel(t, "")
	type client struct {
		browser
		name   string // empty: it isn't logged in
		visits int
		notes  []string
	}
	var clients []*client
	for range 8 {
		clients = append(clients, &client{browser: newBrowser(base)})
	}
	for i := range 200 {
		c := clients[rand.N(len(clients))]
		switch what := rand.N(4); {
		case c.name == "" && what == 0:
			c.name = fmt.Sprintf("user%d", i)
			want := fmt.Sprintf(`{"user":%q,"auth":%[1]q,"session":%d}`, c.name, c.visits)
			if got := c.post(t, "/login", url.Values{"name": {c.name}, "password": {c.name}}); got != want {
				t.Fatalf("request %d: login: %s, want %s", i, got, want)
			}
		case what <= 1:
			c.visits++
			if got, want := c.get(t, "/visits"), fmt.Sprintf("visit %d\n", c.visits); got != want {
				t.Fatalf("request %d: %q, want %q", i, got, want)
			}
		case c.name == "":
			if got := c.get(t, "/me"); !strings.Contains(got, "<title>Login</title>") {
				t.Fatalf("request %d: a stranger sees %s", i, got)
			}
		case what == 2:
			if got, want := c.get(t, "/me"), fmt.Sprintf(`{"user":%q,"auth":%[1]q,"session":%d}`, c.name, c.visits); got != want {
				t.Fatalf("request %d: %s, want %s", i, got, want)
			}
		default:
			note := fmt.Sprintf("note %d of %s", i, c.name)
			c.notes = append(c.notes, note)
			if got, want := c.post(t, "/notes", url.Values{"text": {note}}), `["`+strings.Join(c.notes, `","`)+`"]`; got != want {
				t.Fatalf("request %d: %s, want %s", i, got, want)
			}
		}
	}
	if got := newBrowser(base).post(t, "/login", url.Values{"name": {"a"}, "password": {"b"}}); !strings.Contains(got, "This is not the password.") || !strings.Contains(got, `value="a"`) {
		t.Errorf("a wrong password: %s", got)
	}
	if got := newBrowser(base).get(t, "/login"); strings.Contains(got, "This is not") || strings.Contains(got, `value="a"`) {
		t.Errorf("another client sees the error: %s", got)
	}
}

// TestLaravelIsPutBack: what a request changes of the application, the next doesn't see.
func TestLaravelIsPutBack(t *testing.T) {
	base, log := startLaravel(t, "")
	want := newBrowser(base).get(t, "/look")
	for i := range 5 {
		if got := newBrowser(base).get(t, fmt.Sprintf("/stain?who=Eve%d", i)); got != "stained" {
			t.Fatal(got)
		}
		if got := newBrowser(base).get(t, "/look"); got != want {
			t.Errorf("after stain %d:\n%s, want\n%s", i, got, want)
		}
		if got, want := newBrowser(base).get(t, fmt.Sprintf("/desk?who=Ada%d", i)), fmt.Sprintf("Ada%d", i); got != want {
			t.Errorf("the controller has %q, want %q", got, want)
		}
		// The connection to the database stays, though the transaction is rolled back.
		if got, want := newBrowser(base).get(t, "/kept"), fmt.Sprint(i+1); got != want {
			t.Errorf("the connection has %s rows, want %s", got, want)
		}
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte(`"terminating"`)); n != 5 {
		t.Errorf("terminating was called %d times, want 5", n)
	}
}

// TestLaravelDisconnected: a connection that a request has closed is opened anew, with
// the settings that a session of the database begins with.
func TestLaravelDisconnected(t *testing.T) {
	base, _ := startLaravel(t, "")
	b := newBrowser(base)
	for _, c := range []struct{ path, want string }{{"/kept", "1"}, {"/kept", "2"}, {"/disconnected", "disconnected"}, {"/kept", "1"}, {"/kept", "2"}} {
		if got := b.get(t, c.path); got != c.want {
			t.Errorf("%s: %q, want %q", c.path, got, c.want)
		}
	}
}

// TestLaravelReadonly: a readonly property that a request has set can't be put back, so
// the next request has another worker.
func TestLaravelReadonly(t *testing.T) {
	base, log := startLaravel(t, "")
	b := newBrowser(base)
	for i := range 3 {
		want := fmt.Sprintf("client%d", i)
		if got := b.get(t, "/once?who="+want); got != want {
			t.Errorf("the property is %q, want %q", got, want)
		}
		if got := b.get(t, "/look"); strings.Contains(got, "client") || strings.Contains(got, "also") {
			t.Errorf("the next request sees what one before has set: %s", got)
		}
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("can't be put back: Cannot unset readonly property Board::$once: the worker is replaced")); n != 3 {
		t.Errorf("the log names the property %d times, want 3", n)
	}
}
