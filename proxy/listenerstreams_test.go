package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestStreamsOfEachListener: each event reaches its client before the next is sent,
// and WebSockets open, through each listener that can carry them; also with buffer,
// with compress, for a client that takes no coding, and where a fallback responds.
func TestStreamsOfEachListener(t *testing.T) {
	next := make(chan bool)
	rec := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "websocket" {
			conn, rw, _ := http.NewResponseController(w).Hijack()
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n")
			io.Copy(conn, rw)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			http.NewResponseController(w).Flush()
			<-next
		}
	}))
	defer rec.Close()
	p, _ := start(t, load(t, `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
  both: {http: {address: "127.0.0.1:0", h2c: true}}
  tls: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: true}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
  buffered: {http: {upstreams: [{url: `+rec.URL+`}], buffer: true}}
  files: {files: {root: DIR}}
routes:
  - {match: {paths: [/fallback]}, backend: files, fallback: api, error_pages: {pages: {5xx: /x}, backend: files, intercept: true}}
  - {match: {paths: [/buffered]}, backend: buffered}
  - {match: {paths: [/compress]}, backend: api, compress: true}
  - backend: api
`))
	web, both, secure := p.Addr("web").String(), p.Addr("both").String(), p.Addr("tls").String()
	overTLS := func(protocols func(*http.Protocols)) *http.Client {
		tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}, Protocols: new(http.Protocols), DisableCompression: true}
		protocols(tr.Protocols)
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr, Timeout: 60 * time.Second}
	}
	for name, c := range map[string]struct {
		url    string
		client *http.Client
		major  int
	}{
		"http":      {"http://" + web, overTLS(func(p *http.Protocols) { p.SetHTTP1(true) }), 1},
		"h2c":       {"http://" + both, cleartextClient(t), 2},
		"h2c as h1": {"http://" + both, overTLS(func(p *http.Protocols) { p.SetHTTP1(true) }), 1},
		"https h1":  {"https://" + secure, overTLS(func(p *http.Protocols) { p.SetHTTP1(true) }), 1},
		"https h2":  {"https://" + secure, overTLS(func(p *http.Protocols) { p.SetHTTP2(true) }), 2},
		"https h3":  {"https://localhost", http3Client(t, secure, "", nil), 3},
	} {
		for _, path := range []string{"/", "/buffered", "/compress", "/fallback"} {
			resp, err := c.client.Get(c.url + path)
			if err != nil {
				t.Fatalf("%s %s: %v", name, path, err)
			}
			if resp.ProtoMajor != c.major {
				t.Errorf("%s: HTTP/%d", name, resp.ProtoMajor)
			}
			br := bufio.NewReader(resp.Body)
			for i := range 3 {
				line, err := br.ReadString('\n')
				if want := fmt.Sprintf("data: %d\n", i); err != nil || line != want {
					t.Fatalf("%s %s: %q, %v", name, path, line, err)
				}
				br.ReadString('\n')
				next <- true
			}
			if rest, err := io.ReadAll(br); err != nil || len(rest) > 0 {
				t.Errorf("%s %s: %q, %v", name, path, rest, err)
			}
			resp.Body.Close()
		}
	}
	for name, dial := range map[string]func() (net.Conn, error){
		"http": func() (net.Conn, error) { return net.Dial("tcp", web) },
		"h2c":  func() (net.Conn, error) { return net.Dial("tcp", both) },
		"https": func() (net.Conn, error) {
			return tls.Dial("tcp", secure, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"http/1.1"}})
		},
	} {
		for _, path := range []string{"/", "/buffered", "/compress", "/fallback"} {
			conn, err := dial()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n", path)
			br := bufio.NewReader(conn)
			resp, err := http.ReadResponse(br, nil)
			if err != nil || resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Accept") != "x" {
				t.Fatalf("%s %s: %v, %v", name, path, resp, err)
			}
			for range 3 {
				io.WriteString(conn, "frame\n")
				if line, err := br.ReadString('\n'); err != nil || line != "frame\n" {
					t.Errorf("%s %s: %q, %v", name, path, line, err)
				}
			}
		}
	}
}
