package proxy

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestTrailers checks that the fields that an upstream sends after the body reach
// clients of HTTP/1.1 and HTTP/2 (RFC 9110, section 6.5), announced or not, that no field
// does that frames the message, or that the route removes, and that one which the header
// has too is in both.
func TestTrailers(t *testing.T) {
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		defer conn.Close()
		announced := ""
		if r.URL.Path == "/announced" {
			announced = "Trailer: X-Sum, X-Never, X-Secret, X-Both\r\n"
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nX-Both: a\r\n"+announced+
			"\r\n4\r\nbody\r\n0\r\nX-Both: b\r\nX-Sum: 1\r\nX-Sum: 2\r\nX-Secret: 1\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n")
	}))
	defer u.Close()
	p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: `+u.URL+`}]}}
routes:
  - {backend: api, headers: {response: {remove: [X-Secret]}}}
`)
	for _, path := range []string{"/announced", "/silent"} {
		for way, c := range streamingClients(t, p) {
			resp, err := c.client.Get(c.base + path)
			if err != nil {
				t.Fatal(err)
			}
			_, announced := resp.Trailer["X-Sum"]
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(body) != "body" || announced != (path == "/announced") {
				t.Errorf("%s %s: %q, %v; announced: %v", way, path, body, err, announced)
			}
			got := maps.Clone(resp.Trailer)
			delete(got, "X-Never")
			if fmt.Sprint(got) != "map[X-Both:[b] X-Sum:[1 2]]" || resp.Header.Get("X-Both") != "a" {
				t.Errorf("%s %s: the trailer is %v, the header %v", way, path, resp.Trailer, resp.Header)
			}
		}
		// A message is framed by its Content-Length, and has no place for them.
		response, err := client(t, p, "app").Send(t.Context(), []byte("GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		if resp, body := parseResponse(t, response, "GET"); body != "body" || strings.Contains(string(response), "Trailer") || resp.ContentLength != 4 {
			t.Errorf("in a message: %q", response)
		}
	}
	// Nor does HTTP/1.0.
	response := sendTo(t, p.Addr("web").String(), "GET /announced HTTP/1.0\r\nHost: x\r\n\r\n")
	if !strings.HasSuffix(response, "\r\n\r\nbody") {
		t.Errorf("by HTTP/1.0: %q", response)
	}
}

// sendTo sends bytes, and returns all that comes back until the connection is
// closed.
func sendTo(t *testing.T, address, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(conn, request)
	response, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(response)
}

// TestUpgradeRequired checks that a 426 names the protocols that it asks for
// (RFC 9110, section 15.5.22), and that several Upgrade lines are one list.
func TestUpgradeRequired(t *testing.T) {
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Upgrade"] = []string{"websocket", "irc/6.9"}
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(http.StatusUpgradeRequired)
	})
	p := bothListeners(t, rec.URL, "")
	for _, way := range ways {
		response := way.send(t, p, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\nUpgrade: websocket\r\n\r\n")
		resp, _ := parseResponse(t, response, "GET")
		if got := strings.Join(resp.Header["Upgrade"], ", "); resp.StatusCode != 426 || got != "websocket, irc/6.9" {
			t.Errorf("%s: %d, Upgrade: %s", way.name, resp.StatusCode, got)
		}
		saw := rec.take()
		if len(saw) != 1 {
			t.Fatalf("%s: the upstream saw %d requests", way.name, len(saw))
		}
		if asked := strings.Contains(saw[0].headers, "Upgrade: echo/1, websocket\n"); asked != (way.name == "web") {
			t.Errorf("%s: the upstream saw\n%s", way.name, saw[0].headers)
		}
	}
}

// TestReasonPhrase checks that the reason phrase of an upstream is kept inside a
// message, and doesn't stay for an error that takes the response's place.
func TestReasonPhrase(t *testing.T) {
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		defer conn.Close()
		switch r.URL.Path {
		case "/cut":
			io.WriteString(conn, "HTTP/1.1 502 Lost\r\nContent-Length: 4\r\n\r\n")
		case "/empty":
			io.WriteString(conn, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n")
		default:
			io.WriteString(conn, "HTTP/1.1 404 Gone Fishing\r\nContent-Length: 0\r\n\r\n")
		}
	}))
	defer u.Close()
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
backends:
  api: {http: {upstreams: [{url: `+u.URL+`}]}}
routes:
  - {match: {paths: [/compress]}, compress: true, backend: api}
  - backend: api
`))
	for path, want := range map[string]string{
		"/": "HTTP/1.1 404 Gone Fishing", "/compress": "HTTP/1.1 404 Gone Fishing", "/cut": "HTTP/1.1 502 Bad Gateway", "/empty": "HTTP/1.1 200 ",
	} {
		response, err := client(t, p, "app").Send(t.Context(), []byte("GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		if line, _ := bufio.NewReader(strings.NewReader(string(response))).ReadString('\n'); line != want+"\r\n" {
			t.Errorf("%s: %q, want %q", path, line, want)
		}
	}
}
