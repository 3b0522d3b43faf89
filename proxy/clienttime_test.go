package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestTimeoutIsNotForTheClient: the timeout of a route doesn't run while the body of a request
// is awaited, whether that is received whole or passed on as it comes. It runs while the server
// is awaited.
func TestTimeoutIsNotForTheClient(t *testing.T) {
	t.Parallel() // it waits nearly all of its time
	const timeout, longer, shorter = 2 * time.Second, 2500 * time.Millisecond, 1500 * time.Millisecond
	u := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/late" {
			<-r.Context().Done()
			return
		}
		io.WriteString(w, strconv.FormatInt(n, 10))
	}))
	u.Config.Protocols = new(http.Protocols)
	u.Config.Protocols.SetHTTP1(true)
	u.Config.Protocols.SetUnencryptedHTTP2(true)
	u.Start()
	t.Cleanup(u.Close)
	p, _ := start(t, load(t, `
listeners: {web: {http: {address: "127.0.0.1:0"}}}
backends:
  http1: {http: {upstreams: [{url: `+u.URL+`}]}}
  http2: {http: {upstreams: [{url: "h2c`+strings.TrimPrefix(u.URL, "http")+`"}]}}
  whole: {http: {upstreams: [{url: `+u.URL+`}], buffer: true}}
routes:
  - match: {paths: [/http1/*]}
    timeout: 2s
    strip_prefix: /http1
    backend: http1
  - match: {paths: [/http2/*]}
    timeout: 2s
    strip_prefix: /http2
    backend: http2
  - match: {paths: [/whole/*]}
    timeout: 2s
    strip_prefix: /whole
    backend: whole
`))
	long := strings.Repeat("x", 100<<10)
	var clients sync.WaitGroup
	for _, c := range []struct {
		name, path, length string
		parts              []string
		pause              time.Duration
		status             int
		body               string
	}{
		{"short", "/", "Content-Length: 4", []string{"body"}, longer, 200, "4"},
		{"of unknown length", "/", "Transfer-Encoding: chunked", []string{"4\r\nbody\r\n", "0\r\n\r\n"}, longer, 200, "4"},
		{"long", "/", "Content-Length: 204800", []string{long, long}, longer, 200, "204800"},
		{"steady", "/", "Content-Length: 409600", []string{long, long, long, long}, shorter, 200, "409600"},
		{"late", "/late", "Content-Length: 204800", []string{long, long}, 0, 504, "504 Gateway Timeout\n"},
	} {
		for _, backend := range []string{"/http1", "/http2", "/whole"} {
			clients.Go(func() {
				conn, err := net.Dial("tcp", p.Addr("web").String())
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(60 * time.Second))
				io.WriteString(conn, "POST "+backend+c.path+" HTTP/1.1\r\nHost: x\r\n"+c.length+"\r\n\r\n")
				for _, part := range c.parts {
					time.Sleep(c.pause)
					io.WriteString(conn, part)
				}
				sent := time.Now()
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Errorf("%s%s: %v", c.name, backend, err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				if resp.StatusCode != c.status || string(body) != c.body || err != nil {
					t.Errorf("%s%s: %d %q, %v", c.name, backend, resp.StatusCode, body, err)
				}
				if took := time.Since(sent); c.status == 504 && took < timeout-100*time.Millisecond {
					t.Errorf("%s%s: the timeout was over after %v", c.name, backend, took)
				}
			})
		}
	}
	clients.Wait()
}
