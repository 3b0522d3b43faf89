package proxy

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// denied is what all hostile requests are after. The upstream must never see
// its path.
const denied = `
  - {match: {paths: [/admin, /admin/*]}, respond: {status: 403}}
`

const smuggled = "GET /admin/x HTTP/1.1\r\nHost: example.org\r\n\r\n"

// TestHostileRequests sends what is known to confuse chains of servers. By
// Megaki it is refused, or made harmless where harmless is set; by HTTP, where
// package net/http has read it before, either will do.
func TestHostileRequests(t *testing.T) {
	rec := newRecorder(t, nil)
	p := bothListeners(t, rec.URL, denied)
	const h = " HTTP/1.1\r\nHost: example.org\r\n"
	for _, c := range []struct {
		name, request string
		harmless      bool
	}{
		// Where one request ends and the next begins.
		{"CL.TE", "POST /" + h + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, false},
		{"TE.CL", "POST /" + h + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n2e\r\n" + smuggled + "\r\n0\r\n\r\n", false},
		{"TE.TE", "POST /" + h + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + smuggled, false},
		{"TE in disguise", "POST /" + h + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + smuggled, false},
		{"TE with a tab", "POST /" + h + "Transfer-Encoding:\tchunked, identity\r\n\r\n0\r\n\r\n" + smuggled, false},
		{"TE with a vertical tab", "POST /" + h + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + smuggled, false},
		{"space before the colon", "POST /" + h + "Content-Length: 0\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + smuggled, false},
		{"TE in HTTP/1.0", "POST / HTTP/1.0\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, false},
		{"two lengths", "POST /" + h + "Content-Length: 0\r\nContent-Length: 46\r\n\r\n" + smuggled, false},
		{"the same length twice", "POST /" + h + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", false},
		{"a list of lengths", "POST /" + h + "Content-Length: 0, 46\r\n\r\n" + smuggled, false},
		{"a length with a sign", "POST /" + h + "Content-Length: +46\r\n\r\n" + smuggled, false},
		{"a negative length", "POST /" + h + "Content-Length: -1\r\n\r\n" + smuggled, false},
		{"a length in hex", "POST /" + h + "Content-Length: 0x2e\r\n\r\n" + smuggled, false},
		{"a length too large", "POST /" + h + "Content-Length: 99999999999999999999\r\n\r\n" + smuggled, false},
		{"more than the length", "POST /" + h + "Content-Length: 0\r\n\r\n" + smuggled, false},
		{"less than the length", "POST /" + h + "Content-Length: 999\r\n\r\nshort", false},
		{"a chunk with a bad size", "POST /" + h + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n0\r\n\r\n", false},
		{"a chunk that overflows", "POST /" + h + "Transfer-Encoding: chunked\r\n\r\n1000000000000000a\r\nx\r\n0\r\n\r\n", false},
		{"a body of GET", "GET /" + h + "\r\n" + smuggled, false},
		{"obs-fold", "GET /" + h + "X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n", false},
		{"bare LF", "GET / HTTP/1.1\nHost: example.org\nX-A: b\n\n", false},
		{"bare CR", "GET /" + h + "X-A: b\rTransfer-Encoding: chunked\r\n\r\n", false},
		{"CR in a name", "GET /" + h + "X-\rA: b\r\n\r\n", false},
		// Names and values of fields.
		{"space in a name", "GET /" + h + "X A: b\r\n\r\n", false},
		{"empty name", "GET /" + h + ": b\r\n\r\n", false},
		{"NUL in a name", "GET /" + h + "X\x00A: b\r\n\r\n", false},
		{"NUL in a value", "GET /" + h + "X-A: b\x00c\r\n\r\n", false},
		{"no colon", "GET /" + h + "X-A\r\n\r\n", false},
		// The client address.
		{"httpoxy", "GET /" + h + "Proxy: http://evil/\r\n\r\n", true},
		{"underscore", "GET /" + h + "Remote_User: admin\r\nX_Forwarded_For: 6.6.6.6\r\n\r\n", true},
		{"dot", "GET /" + h + "Remote.User: admin\r\n\r\n", true},
		{"forged address", "GET /" + h + "X-Forwarded-For: 6.6.6.6\r\nX-Real-Ip: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n\r\n", true},
		{"forged session", "GET /" + h + "X-Megaki-Session: 6.6.6.6\r\n\r\n", true},
		{"Connection: X-Forwarded-For", "GET /" + h + "Connection: close, X-Forwarded-For, X-Megaki-Session\r\n\r\n", true},
		{"trailers with a field", "POST /" + h + "Trailer: X-Forwarded-For\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n", false},
		// Which host.
		{"no host", "GET / HTTP/1.1\r\n\r\n", false},
		{"two hosts", "GET /" + h + "Host: evil.example\r\n\r\n", false},
		{"absolute form with another host", "GET http://evil.example/" + h + "\r\n", false},
		{"host with a user", "GET / HTTP/1.1\r\nHost: example.org@evil.example\r\n\r\n", false},
		{"host with a path", "GET / HTTP/1.1\r\nHost: example.org/evil\r\n\r\n", false},
		{"host with a space", "GET / HTTP/1.1\r\nHost: example.org evil\r\n\r\n", false},
		// Which path.
		{"dot segments", "GET /x/../admin/x" + h + "\r\n", true},
		{"encoded dot segments", "GET /x/%2e%2E/admin/x" + h + "\r\n", true},
		{"double slash", "GET //admin/x" + h + "\r\n", true},
		{"encoded letters", "GET /%61dmin/x" + h + "\r\n", true},
		{"encoded twice", "GET /%2561dmin/x" + h + "\r\n", true},
		{"dot", "GET /./admin/x" + h + "\r\n", true},
		{"encoded slash", "GET /x/..%2fadmin/x" + h + "\r\n", false},
		{"backslash", "GET /x\\..\\admin/x" + h + "\r\n", false},
		{"parameters", "GET /x/..;/admin/x" + h + "\r\n", false},
		{"climbing", "GET /../../admin/x" + h + "\r\n", false},
		{"NUL in the path", "GET /admin%00/x" + h + "\r\n", false},
		{"fragment", "GET /x#/../admin/x" + h + "\r\n", false},
		// What isn't a request for us.
		{"CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", false},
		{"authority form", "GET evil.example:80" + h + "\r\n", false},
		{"asterisk", "OPTIONS *" + h + "\r\n", false},
		{"two spaces", "GET  / HTTP/1.1\r\nHost: example.org\r\n\r\n", false},
		{"space in the target", "GET /a /admin/x HTTP/1.1\r\nHost: example.org\r\n\r\n", false},
		{"CR LF in the target", "GET /a%0d%0aX-Forwarded-For:%206.6.6.6" + h + "\r\n", true},
	} {
		t.Run(c.name+" app", func(t *testing.T) {
			response := ways[0].send(t, p, c.request)
			if response == nil {
				t.Fatal("no answer")
			}
			method, _, _ := strings.Cut(c.request, " ")
			resp, _ := parseResponse(t, response, method)
			if refused := resp.StatusCode == 400 || resp.StatusCode == 501; refused == c.harmless {
				t.Errorf("%.200q", response)
			}
			if c.harmless && strings.HasPrefix(c.request, "GET / ") && resp.StatusCode != 200 {
				t.Errorf("it isn't forwarded: %.200q", response)
			}
			checkHarmless(t, rec.take(), bytes.Count(response, []byte("HTTP/1.1 200 ")))
		})
		t.Run(c.name+" web", func(t *testing.T) {
			conn, err := net.Dial("tcp", p.Addr("web").String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			io.WriteString(conn, c.request)
			conn.(*net.TCPConn).CloseWrite()
			response, err := io.ReadAll(conn)
			if err != nil {
				t.Logf("%v after %.100q", err, response)
			}
			if bytes.Contains(response, []byte("HTTP/1.1 5")) && !bytes.Contains(response, []byte(" 501 ")) && !bytes.Contains(response, []byte(" 505 ")) {
				t.Errorf("%.200q", response)
			}
			if strings.HasPrefix(c.name, "a chunk") && bytes.Count(response, []byte("HTTP/1.")) > 1 {
				t.Errorf("the connection goes on after a broken body: %q", response)
			}
			forwarded := bytes.Count(response, []byte("HTTP/1.1 200 "))
			if c.harmless && strings.HasPrefix(c.request, "GET / ") && forwarded != 1 {
				t.Errorf("it isn't forwarded: %.200q", response)
			}
			checkHarmless(t, rec.take(), forwarded)
		})
	}
}

// checkHarmless looks for what a hostile request was after in what the upstream
// saw. It has seen a request for each one that was forwarded.
func checkHarmless(t *testing.T, saw []seen, forwarded int) {
	t.Helper()
	if len(saw) < forwarded {
		t.Errorf("%d requests were forwarded, the upstream saw %q", forwarded, saw)
	}
	for _, s := range saw {
		path := strings.ToLower(strings.Fields(s.line)[1])
		if strings.HasPrefix(path, "/admin") || strings.Contains(path, "../") || s.host != "example.org" && s.host != "evil.example" {
			t.Errorf("the upstream saw %q %q", s.line, s.host)
		}
		for _, line := range strings.Split(s.headers, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			if strings.Contains(value, "6.6.6.6") || strings.Contains(value, "admin") || name == "Proxy" || strings.ContainsAny(name, "_.") {
				t.Errorf("the upstream saw %q", line)
			}
		}
		if !strings.Contains(s.headers, "X-Forwarded-For: 127.0.0.1\n") {
			t.Errorf("the client's address is missing: %q", s.headers)
		}
	}
}

// TestTrustedProxies finds the client behind proxies.
func TestTrustedProxies(t *testing.T) {
	rec := newRecorder(t, nil)
	p, _ := start(t, load(t, `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - {match: {from: [9.9.9.9, "2001:db8::/32"]}, respond: {status: 403}}
  - backend: api
trusted_proxies: [127.0.0.0/8, 10.0.0.0/8, "fd00::/8"]
`))
	for _, c := range []struct{ fields, want, proto, host string }{
		{"", "127.0.0.1", "http", "x"},
		{"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: front.example\r\n", "1.1.1.1, 127.0.0.1", "https", "front.example"},
		{"X-Forwarded-For: 6.6.6.6, 1.1.1.1, 10.1.2.3\r\n", "1.1.1.1, 10.1.2.3, 127.0.0.1", "http", "x"},
		{"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 1.1.1.1\r\n", "1.1.1.1, 127.0.0.1", "http", "x"},
		{"X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n", "10.0.0.1, 10.0.0.2, 127.0.0.1", "http", "x"},
		{"X-Forwarded-For: [2001:db9::1]:443\r\n", "2001:db9::1, 127.0.0.1", "http", "x"},
		{"X-Forwarded-For: 1.1.1.1, unknown\r\n", "127.0.0.1", "http", "x"},
		{"X-Forwarded-For: \r\nX-Forwarded-Proto: gopher\r\n", "127.0.0.1", "http", "x"},
		{"X-Forwarded-For: 6.6.6.6, 9.9.9.9\r\n", "", "", ""},
		{"X-Forwarded-For: 2001:db8::7\r\n", "", "", ""},
	} {
		response := sendWeb(t, p, "GET / HTTP/1.1\r\nHost: x\r\n"+c.fields+"\r\n")
		saw := rec.take()
		if c.want == "" {
			if !bytes.HasPrefix(response, []byte("HTTP/1.1 403 ")) || len(saw) > 0 {
				t.Errorf("%q: %q", c.fields, response)
			}
			continue
		}
		want := "X-Forwarded-For: " + c.want + "\nX-Forwarded-Host: " + c.host + "\nX-Forwarded-Proto: " + c.proto + "\n"
		if len(saw) != 1 || saw[0].headers != want {
			t.Errorf("%q: %q, want %q", c.fields, saw, want)
		}
	}
}
