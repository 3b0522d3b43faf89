package proxy

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRequestID: an upstream gets the id that the access line has. That of a client
// is replaced, that of a trusted proxy is kept if it is plain. A traceparent is
// passed on as it is.
func TestRequestID(t *testing.T) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, trusted := range []bool{false, true} {
		rec := newRecorder(t, nil)
		text := strings.Replace(`
listeners: {web: {http: {address: "127.0.0.1:0"}}}
backends: {up: {http: {upstreams: [{url: URL}]}}}
routes: [{match: {paths: [/own]}, respond: {}}, {backend: up}]
trusted_proxies: []
`, "URL", rec.URL, 1)
		if trusted {
			text = strings.Replace(text, "[]", "[127.0.0.1]", 1)
		}
		p, log := start(t, load(t, text))
		for _, c := range []struct {
			id   string
			kept bool
		}{{"", false}, {"abc-1", trusted}, {"a b", false}, {strings.Repeat("x", 129), false}} {
			r, _ := http.NewRequest("GET", "http://"+p.Addr("web").String()+"/", nil)
			r.Header.Set("Traceparent", trace)
			r.Header.Set("User-Agent", `a"b`)
			r.Header.Set("Referer", "http://x/y?secret")
			if c.id != "" {
				r.Header.Set("X-Request-Id", c.id)
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			got := rec.take()[0]
			if kept := got.id == c.id; kept != c.kept || !kept && len(got.id) != 32 {
				t.Errorf("trusted %v, X-Request-Id %q: the upstream got %q", trusted, c.id, got.id)
			}
			if !strings.Contains(got.headers, "Traceparent: "+trace+"\n") {
				t.Errorf("traceparent isn't passed on: %q", got.headers)
			}
			awaitLog(t, log, `"user_agent":"a\"b","referer":"http://x/y","request_id":"`+got.id+`"`)
		}
		// Nobody reads the id of a response that mkd makes itself.
		resp, err := http.Get("http://" + p.Addr("web").String() + "/own")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		lines := awaitLog(t, log, `"path":"/own"`)
		_, line, _ := strings.Cut(lines, `"path":"/own"`)
		line, _, _ = strings.Cut(line, "\n")
		if strings.Contains(line, "request_id") {
			t.Errorf("an id was made: %s", line)
		}
	}
}

// TestRequestIDOfRawMessage: the access line of a raw message has the id that the
// backend got.
func TestRequestIDOfRawMessage(t *testing.T) {
	rec := newRecorder(t, nil)
	p, log := start(t, load(t, strings.Replace(`
listeners: {app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}}
backends: {up: {http: {upstreams: [{url: URL}]}}}
routes: [{raw: {path: /raw}, backend: up}]
`, "URL", rec.URL, 1)))
	if got, err := client(t, p, "app").Send(t.Context(), []byte("\x00a message")); err != nil || string(got) != "ok" {
		t.Fatalf("%q, %v", got, err)
	}
	id := rec.take()[0].id
	if len(id) != 32 {
		t.Errorf("the upstream got the id %q", id)
	}
	awaitLog(t, log, `"request_id":"`+id+`"`)
}

// TestWorkerInLog: the access line of a PHP script names the process, and the script
// sees the id.
func TestWorkerInLog(t *testing.T) {
	script := filepath.Join(t.TempDir(), "worker.php")
	code := `<?php $ARCANGELO_USERSPACE = ['on_http' => fn ($r) => new arca\Response(getmypid() . ' ' . ($_SERVER['HTTP_X_REQUEST_ID'] ?? 'none'))];`
	if err := os.WriteFile(script, []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	p, log := start(t, load(t, `
listeners: {web: {http: {address: "127.0.0.1:0"}}}
backends: {site: {php: {script: `+script+`, workers: {min: 1, max: 1}}}}
routes: [{backend: site}]
`))
	resp, err := http.Get("http://" + p.Addr("web").String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	pid, id, _ := strings.Cut(string(body), " ")
	if len(id) != 32 {
		t.Errorf("the script saw %q", body)
	}
	awaitLog(t, log, `"backend":"site","worker":`+pid+`,"status":200`)
	awaitLog(t, log, `"request_id":"`+id+`"`)
}

// TestRequestIDOfScriptOutput: what PHP-FPM reports of a script has the id of its
// request's access line.
func TestRequestIDOfScriptOutput(t *testing.T) {
	f := startFPM(t, 1, map[string]string{"index.php": `<?php error_log('in the log'); echo $_SERVER['HTTP_X_REQUEST_ID'];`}, "php_admin_flag[log_errors] = on")
	p, log := start(t, load(t, `
listeners: {web: {http: {address: "127.0.0.1:0"}}}
backends: {site: {fastcgi: {addresses: ["unix:`+f.dir+`/s"], root: `+f.public+`}}}
routes: [{backend: site}]
`))
	resp, err := http.Get("http://" + p.Addr("web").String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	id, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if len(id) != 32 {
		t.Errorf("the script saw the id %q", id)
	}
	awaitLog(t, log, `"path":"/","request_id":"`+string(id)+`","text":"PHP message: in the log`)
}
