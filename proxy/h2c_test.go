package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
)

// cleartextClient returns a client that speaks HTTP/2 without TLS.
func cleartextClient(t *testing.T) *http.Client {
	t.Helper()
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// TestCleartextHTTP2: with h2c a plain listener serves both versions, and gRPC.
func TestCleartextHTTP2(t *testing.T) {
	s := &grpcService{ended: make(chan error, 1)}
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Method+" "+r.Header.Get("X-Forwarded-Proto"))
	})
	p, _ := start(t, load(t, `
listeners:
  plain: {http: {address: "127.0.0.1:0", h2c: true}}
  old: {http: {address: "127.0.0.1:0"}}
backends:
  calls: {http: {upstreams: [{url: "`+grpcServer(t, s, false)+`"}]}}
  down: {http: {upstreams: [{url: "h2c://127.0.0.1:1"}]}}
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - {match: {headers: {x-down: "*"}}, backend: down}
  - {match: {headers: {content-type: application/grpc}}, backend: calls}
  - backend: api
`))
	conn, err := grpc.NewClient("passthrough:///"+p.Addr("plain").String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	testGRPC(t, pb.NewTestServiceClient(conn), s)

	resp, err := cleartextClient(t).Get("http://" + p.Addr("plain").String())
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	if resp.Body.Close(); resp.ProtoMajor != 2 || string(body) != "GET http" {
		t.Errorf("HTTP/2: %v, %q", resp, body)
	}
	if _, err := cleartextClient(t).Get("http://" + p.Addr("old").String()); err == nil {
		t.Error("a listener without h2c speaks HTTP/2")
	}
	// HTTP/1, whose methods may begin as the preface does, in pieces.
	for _, pieces := range [][]string{{"GET"}, {"POST"}, {"P", "UT"}, {"P", "R", "OPFIND"}, {"PR", "IX"}} {
		c, err := net.Dial("tcp", p.Addr("plain").String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		method := ""
		for _, piece := range pieces {
			io.WriteString(c, piece)
			method += piece
		}
		br := bufio.NewReader(c)
		for i := range 2 {
			if i > 0 {
				io.WriteString(c, method)
			}
			io.WriteString(c, " / HTTP/1.1\r\nHost: x\r\n\r\n")
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatalf("%q: %v", pieces, err)
			}
			if body, _ := io.ReadAll(resp.Body); string(body) != method+" http" {
				t.Errorf("%q: %d %q", pieces, resp.StatusCode, body)
			}
		}
	}
}

// TestCleartextConnectionsEnd: connections of both versions, and some that never
// begin, give their slot back.
func TestCleartextConnectionsEnd(t *testing.T) {
	rec := newRecorder(t, nil)
	p, _ := start(t, load(t, `
listeners:
  plain: {http: {address: "127.0.0.1:0", h2c: true, max_connections: 1, header_timeout: 200ms}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - backend: api
`))
	address := p.Addr("plain").String()
	for i := range 3 {
		silent, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close() // the listener closes it first
		c := cleartextClient(t)
		resp, err := c.Get("http://" + address)
		if err != nil {
			t.Fatalf("HTTP/2, round %d: %v", i, err)
		}
		resp.Body.Close()
		c.CloseIdleConnections()
		one := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
		if resp, err = one.Get("http://" + address); err != nil {
			t.Fatalf("HTTP/1, round %d: %v", i, err)
		}
		resp.Body.Close()
	}
}

// TestCleartextHTTP1: HTTP/1 of a listener with h2c is as that of others: a response that comes
// before the end of the request's body isn't lost, a client that leaves ends its request, and
// one direction of a tunnel can end before the other.
func TestCleartextHTTP1(t *testing.T) {
	began, left, tunnelled := make(chan struct{}), make(chan struct{}, 1), make(chan string, 1)
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/wait":
			close(began)
			<-r.Context().Done()
			left <- struct{}{}
		case "/tunnel":
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: own\r\n\r\nall")
			conn.(*net.TCPConn).CloseWrite()
			sent, err := io.ReadAll(rw)
			tunnelled <- fmt.Sprintf("%q %v", sent, err)
		}
	})
	p, _ := start(t, load(t, `
listeners:
  plain: {http: {address: "127.0.0.1:0", h2c: true}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - {match: {paths: [/early]}, respond: {status: 410}}
  - backend: api
`))
	send := func(head string) (net.Conn, *bufio.Reader) {
		t.Helper()
		c, err := net.Dial("tcp", p.Addr("plain").String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, head+"\r\n\r\n")
		return c, bufio.NewReader(c)
	}
	respond := func(br *bufio.Reader, status int) {
		t.Helper()
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != status {
			t.Fatalf("%v, %v; want %d", resp, err, status)
		}
	}

	_, br := send("POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat("x", 100_000))
	respond(br, 410)
	if rest, err := io.ReadAll(br); string(rest) != "410 Gone\n" || err != nil {
		t.Errorf("after an early response: %q, %v", rest, err)
	}

	c, _ := send("GET /wait HTTP/1.1\r\nHost: x")
	<-began
	c.Close()
	select {
	case <-left:
	case <-time.After(20 * time.Second):
		t.Error("the client has left, and its request goes on")
	}

	c, br = send("GET /tunnel HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: own")
	respond(br, 101)
	if got, err := io.ReadAll(br); string(got) != "all" || err != nil {
		t.Errorf("from a tunnel: %q, %v", got, err)
	}
	io.WriteString(c, "to the server")
	c.(*net.TCPConn).CloseWrite()
	if got := <-tunnelled; got != `"to the server" <nil>` {
		t.Errorf("through a tunnel whose other direction has ended: %s", got)
	}
}
