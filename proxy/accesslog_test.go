package proxy

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// TestAccessLogOfRoute: requests of a route with access_log: false make no lines, unless
// they fail on this side; routes inside of it have the option too.
func TestAccessLogOfRoute(t *testing.T) {
	rec := newRecorder(t, nil)
	p, log := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
  secure: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: true}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
  down: {http: {upstreams: [{url: "http://127.0.0.1:1"}]}}
routes:
  - match: {paths: [/quiet/*]}
    access_log: false
    routes:
      - {match: {paths: [/quiet/down]}, backend: down}
      - {match: {paths: [/quiet/loud]}, access_log: true, backend: api}
      - {match: {paths: [/quiet/a]}, backend: api}
  - backend: api
`))
	for _, way := range allWays {
		for _, path := range []string{"/quiet/a", "/quiet/none", "/quiet/loud", "/quiet/down", "/listed"} {
			if response := way.send(t, p, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n"); response == nil {
				t.Errorf("%s over %s: no response", path, way.name)
			}
		}
	}
	lines := func(path string) int {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), `"path":"`+path+`"`)
	}
	await(t, "the lines of other requests", func() bool {
		return lines("/listed") == len(allWays) && lines("/quiet/loud") == len(allWays) && lines("/quiet/down") == len(allWays)
	})
	if lines("/quiet/a")+lines("/quiet/none") > 0 {
		t.Error("requests that need no line make one")
	}
}

// TestAccessLineOfAChangedHeader: the access line has the host, the user agent and the referer
// that the client sent, and not what the route made of them for its server.
func TestAccessLineOfAChangedHeader(t *testing.T) {
	rec := newRecorder(t, nil)
	p, log := start(t, load(t, `
log: {format: json}
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
  secure: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: true}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - headers: {request: {set: {Host: inside, User-Agent: mkd}, remove: [Referer]}}
    backend: api
`))
	for i, way := range allWays {
		path := fmt.Sprintf(`/%d`, i)
		way.send(t, p, "GET "+path+" HTTP/1.1\r\nHost: asked\r\nUser-Agent: browser\r\nReferer: there\r\n\r\n")
		for line := range strings.Lines(awaitLog(t, log, `"path":"`+path+`"`)) {
			if strings.Contains(line, `"path":"`+path+`"`) && !(strings.Contains(line, `"host":"asked"`) && strings.Contains(line, `"user_agent":"browser","referer":"there"`)) {
				t.Errorf("%s: %s", way.name, line)
			}
		}
		if s := rec.take()[0]; s.host != "inside" || strings.Contains(s.headers, "browser") || strings.Contains(s.headers, "Referer") {
			t.Errorf("%s: the server saw %+v", way.name, s)
		}
	}
}

// TestClientFaultIsNoWarning: a request that is wrong, also with a status of 501 or 505, is
// no warning; one that fails on this side is.
func TestClientFaultIsNoWarning(t *testing.T) {
	p, log := start(t, load(t, `
listeners: {web: {http: {address: "127.0.0.1:0"}}}
backends: {down: {http: {upstreams: [{url: "http://127.0.0.1:1"}]}}}
routes: [{backend: down}]
`))
	for _, c := range []struct{ request, status, level string }{
		{"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "501", "info"},
		{"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505", "info"},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "503", "warn"},
	} {
		conn, err := net.Dial("tcp", p.Addr("web").String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, c.request)
		conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Errorf("%s: %v", c.status, err)
		}
		conn.Close()
		for line := range strings.Lines(awaitLog(t, log, `"status":`+c.status)) {
			if strings.Contains(line, `"status":`+c.status) && !strings.HasPrefix(line, `{"level":"`+c.level+`"`) {
				t.Errorf("want the level %s: %s", c.level, line)
			}
		}
	}
}
