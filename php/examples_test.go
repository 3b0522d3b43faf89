package php

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWorkersExample runs examples/php-workers with the pool alone.
func TestWorkersExample(t *testing.T) {
	p, _ := start(t, Options{Script: "../examples/php-workers/app.php", MinWorkers: 1, MaxWorkers: 1, Env: map[string]string{"TMPDIR": t.TempDir()}})
	for target, want := range map[string]string{"/hello?name=Ada": "Hello, Ada!\n", "/count": "1\n2\n3\n4\n5\n", "/cookie": "seen never\n", "/visits": "visit 1\n"} {
		if got := get(t, p, target).body.String(); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", target, got)
		}
	}
	if got := request(t, p, httpCall("GET", "/cookie", http.Header{"Cookie": {"seen[]=1"}}, "")).body.String(); got != "seen before\n" {
		t.Errorf("a cookie that is an array: %q", got)
	}
	w := request(t, p, multipartCall("/form", filePart("file", "a b.txt", "content")+"--b--"))
	if w.status != 303 {
		t.Fatalf("upload: %d", w.status)
	}
	if got := get(t, p, w.header.Get("Location")); got.body.String() != "content" {
		t.Errorf("download: %d %q", got.status, &got.body)
	}
	if w := request(t, p, httpCall("PUT", "/length", nil, "12345")); w.body.String() != "5 bytes\n" {
		t.Errorf("length: %q", &w.body)
	}
	if w := get(t, p, "/nowhere"); w.status != 404 {
		t.Errorf("nowhere: %d", w.status)
	}
	for body, want := range map[string]string{"person=x": "stranger", "person[name][]=x": "stranger", "x": "stranger", "person[name]=Ada": "Ada"} {
		w := request(t, p, httpCall("POST", "/form", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, body))
		if got, want := w.body.String(), "Thank you, "+want+"\n"; got != want {
			t.Errorf("%s: %q", body, got)
		}
	}
}

// TestChatExample: examples/sse takes a text, and nothing else that a client sends.
func TestChatExample(t *testing.T) {
	p, _ := start(t, Options{Script: "../examples/sse/app.php", MinWorkers: 1, MaxWorkers: 1, Env: map[string]string{"CHAT_FILE": filepath.Join(t.TempDir(), "chat")}})
	for body, want := range map[string]int{"text=hello": 303, "text[]=hello": 400, "x": 400} {
		if w := request(t, p, httpCall("POST", "/say", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, body)); w.status != want {
			t.Errorf("%s: %d, want %d", body, w.status, want)
		}
	}
}

// TestExampleInAFolderOfAnother: the example doesn't use a folder for uploads that
// another user has made under its name.
func TestExampleInAFolderOfAnother(t *testing.T) {
	for name, trap := range map[string]func(path string) error{
		"a link": func(path string) error { return os.Symlink(filepath.Dir(path), path) },
		"a file": func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"another's folder": func(path string) error {
			return errors.Join(os.Mkdir(path, 0o777), os.Chown(path, 65534, -1))
		},
	} {
		dir := t.TempDir()
		if err := trap(filepath.Join(dir, fmt.Sprintf("php-workers-%d", os.Geteuid()))); err != nil {
			if os.Geteuid() != 0 {
				continue // only root can give folders away
			}
			t.Fatal(err)
		}
		p, _ := newPool(t, Options{Script: "../examples/php-workers/app.php", MinWorkers: 1, MaxWorkers: 1, Env: map[string]string{"TMPDIR": dir}})
		if err := p.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "isn't a folder of this user") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPSR15 runs examples/slim: a framework with PSR-7 and PSR-17 from
// another library.
func TestPSR15(t *testing.T) {
	p, log := start(t, Options{Script: "../examples/slim/app.php", MinWorkers: 1, MaxWorkers: 1})
	w := get(t, p, "/hello/Ada")
	if w.body.String() != "Hello, Ada!\n" || w.length != int64(w.body.Len()) || !strings.HasPrefix(w.header.Get("Server-Timing"), "app;dur=") {
		t.Errorf("%q %v", &w.body, w.header)
	}
	if got := get(t, p, "/whoami").body.String(); got != "192.0.2.7\n" {
		t.Errorf("%q", got)
	}
	for _, c := range []*HTTPCall{
		multipartCall("/form", fieldPart("a[b]", "1")+filePart("f", "x.txt", "content")+filePart("g", "", "")+"--b--"),
		httpCall("POST", "/form", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, "a[b]=1"),
	} {
		var response struct {
			Fields map[string]any
			Files  any
		}
		w := request(t, p, c)
		if err := json.Unmarshal(w.body.Bytes(), &response); err != nil || asJSON(response.Fields) != `{"a":{"b":"1"}}` {
			t.Errorf("%q, %v", &w.body, err)
		}
	}
	w = request(t, p, multipartCall("/form", filePart("f", "x.txt", "content")+"--b--"))
	if want := `{"fields":[],"files":{"f":["x.txt","` + hash("content") + `"]}}`; w.body.String() != want {
		t.Errorf("%q, want %q", &w.body, want)
	}
	var script *ScriptError
	if _, err := doHTTP(p, httpCall("GET", "/broken", nil, "")); !errors.As(err, &script) || script.Fatal || !strings.Contains(script.Message, "this goes to the log") {
		t.Errorf("broken: %v", err)
	}
	if w := get(t, p, "/nowhere"); w.status != 404 {
		t.Errorf("nowhere: %d", w.status)
	}
	if s := log.String(); strings.Contains(s, "level=WARN") {
		t.Errorf("warnings:\n%s", s)
	}
}
