package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// numbered starts upstreams that respond with their number.
func numbered(t *testing.T, n int) (all []*httptest.Server, list string) {
	t.Helper()
	var urls []string
	for i := range n {
		u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "own", Value: "1"})
			io.WriteString(w, string(rune('a'+i)))
		}))
		t.Cleanup(u.Close)
		all = append(all, u)
		urls = append(urls, "{url: "+u.URL+"}")
	}
	return all, "[" + strings.Join(urls, ", ") + "]"
}

// cookieOf returns the cookie of a name that a response sets, nil if it sets none.
func cookieOf(g got, name string) *http.Cookie {
	for _, c := range (&http.Response{Header: g.header}).Cookies() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// TestSticky: a client keeps the server that it had first, until that is down.
func TestSticky(t *testing.T) {
	servers, list := numbered(t, 3)
	p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: `+list+`, sticky: {cookie: server}}}
routes:
  - backend: api
`)
	for _, way := range everyWay {
		g := way.send(t, p, &asked{method: "GET", target: "/", fields: []string{"Host: x"}})
		c := cookieOf(g, "server")
		if g.status != 200 || c == nil || cookieOf(g, "own") == nil {
			t.Fatalf("%s: %d %v", way.name, g.status, g.header)
		}
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure != way.secure || c.Path != "/" || len(c.Value) != 22 || c.MaxAge != 0 || !c.Expires.IsZero() {
			t.Errorf("%s: %v", way.name, c)
		}
		first := g.body
		for range 5 {
			g = way.send(t, p, &asked{method: "GET", target: "/", fields: []string{"Host: x", "Cookie: a=b; server=forged; server=" + c.Value}})
			if g.body != first || cookieOf(g, "server") != nil {
				t.Errorf("%s: %s after %s, %v", way.name, g.body, first, g.header)
			}
		}
		if g = way.send(t, p, &asked{method: "GET", target: "/", fields: []string{"Host: x", "Cookie: server=forged"}}); cookieOf(g, "server") == nil {
			t.Errorf("%s: a forged cookie isn't replaced: %v", way.name, g.header)
		}
	}
	// Its server goes, and it gets another, which it keeps.
	send := everyWay[1].send
	g := send(t, p, &asked{method: "GET", target: "/", fields: []string{"Host: x"}})
	first, cookie := g.body, cookieOf(g, "server").Value
	servers[first[0]-'a'].Close()
	g = send(t, p, &asked{method: "GET", target: "/", fields: []string{"Host: x", "Cookie: server=" + cookie}})
	next := cookieOf(g, "server")
	if g.status != 200 || g.body == first || next == nil || next.Value == cookie {
		t.Fatalf("%d %s, %v", g.status, g.body, next)
	}
	for range 3 {
		if again := send(t, p, &asked{method: "GET", target: "/", fields: []string{"Host: x", "Cookie: server=" + next.Value}}); again.body != g.body {
			t.Errorf("%s after %s", again.body, g.body)
		}
	}
}

// TestStickySecret: nodes with one secret know each other's cookies, others don't,
// and a reload that changes the backend forgets none.
func TestStickySecret(t *testing.T) {
	_, list := numbered(t, 3)
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	text := func(options string) string {
		return `
storage: ` + dir + `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
backends:
  api: {http: {upstreams: ` + list + options + `}}
routes:
  - backend: api
`
	}
	node := func(options string) func(cookie string) (string, *http.Cookie) {
		p, _ := start(t, load(t, text(options)))
		return func(cookie string) (string, *http.Cookie) {
			g := everyWay[1].send(t, p, &asked{method: "GET", target: "/", fields: []string{"Host: x", "Cookie: server=" + cookie}})
			return g.body, cookieOf(g, "server")
		}
	}
	shared := `, sticky: {cookie: server, secret_file: ` + secret + `}`
	one, two, other := node(shared), node(shared), node(`, sticky: {cookie: server}`)
	got, cookie := one("")
	for range 4 {
		if again, set := two(cookie.Value); again != got || set != nil {
			t.Errorf("the other node: %s, not %s", again, got)
		}
	}
	if _, set := other(cookie.Value); set == nil {
		t.Error("a node with another secret knows the cookie")
	}

	p, _ := start(t, load(t, text(`, sticky: {cookie: server}`)))
	g := everyWay[1].send(t, p, &asked{method: "GET", target: "/", fields: []string{"Host: x"}})
	value := cookieOf(g, "server").Value
	if err := p.Reload(t.Context(), load(t, text(`, sticky: {cookie: server}, dial_timeout: 9s`))); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if again := everyWay[1].send(t, p, &asked{method: "GET", target: "/", fields: []string{"Host: x", "Cookie: server=" + value}}); again.body != g.body {
			t.Errorf("after a reload: %s, not %s", again.body, g.body)
		}
	}
	if err := os.WriteFile(secret, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Reload(t.Context(), load(t, text(shared))); err == nil || !strings.Contains(err.Error(), "has 5 bytes, want 32 at least") {
		t.Errorf("a short secret: %v", err)
	}
}

// TestHashedBalance: requests of a client, or with the same value, go to one server.
func TestHashedBalance(t *testing.T) {
	_, list := numbered(t, 4)
	p, _ := allListeners(t, `
backends:
  ip: {http: {upstreams: `+list+`, balance: {by: ip_hash}}}
  tenant: {http: {upstreams: `+list+`, balance: {by: header, header: x-tenant}}}
  host: {http: {upstreams: `+list+`, balance: {by: header, header: Host}}}
routes:
  - {match: {paths: [/ip]}, backend: ip}
  - {match: {paths: [/tenant]}, backend: tenant}
  - {match: {paths: [/host]}, backend: host}
trusted_proxies: [127.0.0.0/8]
`)
	by := map[string]func(value string) []string{
		"/ip":     func(v string) []string { return []string{"Host: x", "X-Forwarded-For: 192.0.2." + v} },
		"/tenant": func(v string) []string { return []string{"Host: x", "X-Tenant: " + v} },
		"/host":   func(v string) []string { return []string{"Host: x" + v} },
	}
	for target, fields := range by {
		all := make(map[string]bool)
		for _, value := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"} {
			want := ""
			for _, way := range everyWay[1:] { // a Megaki client isn't a proxy
				for range 2 {
					g := way.send(t, p, &asked{method: "GET", target: target, fields: fields(value)})
					if want == "" {
						want = g.body
					}
					if g.status != 200 || g.body != want {
						t.Errorf("%s %s: %d %s, not %s", way.name, target, g.status, g.body, want)
					}
				}
			}
			all[want] = true
		}
		if len(all) < 2 {
			t.Errorf("%s: all go to %v", target, all)
		}
	}
	all := make(map[string]bool)
	for range 4 {
		all[everyWay[1].send(t, p, &asked{method: "GET", target: "/tenant", fields: []string{"Host: x"}}).body] = true
	}
	if len(all) != 4 {
		t.Errorf("without the field: %v", all)
	}
}

// TestStickyTunnel: a client whose first request is a WebSocket keeps that server too.
func TestStickyTunnel(t *testing.T) {
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		conn.Close()
	}))
	defer u.Close()
	p, _ := start(t, load(t, `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
backends:
  api: {http: {upstreams: [{url: `+u.URL+`}], sticky: {cookie: server}}}
routes:
  - backend: api
`))
	response := sendWeb(t, p, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if !strings.HasPrefix(string(response), "HTTP/1.1 101 ") || !strings.Contains(string(response), "Set-Cookie: server=") {
		t.Errorf("%q", response)
	}
}
