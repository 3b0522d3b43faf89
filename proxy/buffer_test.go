package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestBuffer: with buffer, a client that sends or reads slowly holds no connection of
// a server that has only one.
func TestBuffer(t *testing.T) {
	const large = 8 << 20
	var requests atomic.Int32
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.URL.Path == "/large" {
			w.Header().Set("Content-Length", fmt.Sprint(large))
			w.Header().Set("Trailer", "X-End")
			for range large / (64 << 10) {
				w.Write(make([]byte, 64<<10))
			}
			return
		}
		if r.URL.Path == "/chunked" {
			w.Header().Set("Trailer", "X-End")
			io.WriteString(w, strings.Repeat("x", 300_000))
			w.Header().Set("X-End", "yes")
			return
		}
		io.WriteString(w, "short")
	})
	p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}], max_connections: 1, queue_timeout: 20s, buffer: true}}
routes:
  - backend: api
`)
	dial := func(request string) (net.Conn, *bufio.Reader) {
		t.Helper()
		conn, err := net.Dial("tcp", p.Addr("web").String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(60 * time.Second))
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		return conn, bufio.NewReader(conn)
	}
	// This client doesn't read its response.
	_, slow := dial("GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(slow, nil)
	if err != nil || resp.ContentLength != large {
		t.Fatalf("%v, %v", resp, err)
	}
	// This one has sent a half of its request.
	half := strings.Repeat("b", 100<<10)
	writer, late := dial("POST /half HTTP/1.1\r\nHost: x\r\nContent-Length: 204800\r\n\r\n" + half)
	for _, way := range everyWay {
		if g := way.send(t, p, &asked{method: "GET", target: "/", fields: []string{"Host: x"}}); g.status != 200 || g.body != "short" {
			t.Errorf("%s: %d %q", way.name, g.status, g.body)
		}
		if g := way.send(t, p, &asked{method: "POST", target: "/", fields: []string{"Host: x"}, body: half}); g.status != 200 || g.body != "short" {
			t.Errorf("%s: %d %q", way.name, g.status, g.body)
		}
	}
	if n := requests.Load(); n != int32(1+2*len(everyWay)) {
		t.Errorf("the server had %d requests", n)
	}
	if _, err := io.WriteString(writer, half); err != nil {
		t.Fatal(err)
	}
	if r, err := http.ReadResponse(late, nil); err != nil || r.StatusCode != 200 {
		t.Errorf("the late request: %v, %v", r, err)
	}
	if all := rec.take(); all[len(all)-1].body != half+half {
		t.Errorf("its body has %d bytes", len(all[len(all)-1].body))
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != large || err != nil {
		t.Errorf("the slow client got %d bytes, %v", n, err)
	}
	// Trailers come after a body that was buffered.
	_, chunked := dial("GET /chunked HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
	if resp, err = http.ReadResponse(chunked, nil); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != 300_000 || err != nil || resp.Trailer.Get("X-End") != "yes" {
		t.Errorf("%d bytes, %v, %v", n, err, resp.Trailer)
	}
}
