package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
)

// TestProxyProtocolToUpstream: each request has a connection of its own, which begins
// with the client's address, also over TLS; a health check has none.
func TestProxyProtocolToUpstream(t *testing.T) {
	type connKey struct{}
	var mu sync.Mutex
	conns, checks := make(map[net.Conn]int), 0
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		c := r.Context().Value(connKey{}).(net.Conn)
		conns[c]++
		if r.URL.Path == "/healthz" {
			checks++
		}
		io.WriteString(w, r.RemoteAddr)
	})
	for _, version := range []string{"v1", "v2"} {
		for _, secure := range []bool{false, true} {
			u := httptest.NewUnstartedServer(handler)
			u.Listener = &proxyproto.Listener{Listener: u.Listener, ReadHeaderTimeout: 20 * time.Second, ConnPolicy: func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) { return proxyproto.REQUIRE, nil }}
			u.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
			if secure {
				u.StartTLS()
			} else {
				u.Start()
			}
			defer u.Close()
			p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: `+u.URL+`}], tls: {insecure: true}, proxy_protocol: `+version+`, health: {path: /healthz, interval: 100ms}}}
routes:
  - backend: api
trusted_proxies: [127.0.0.0/8]
`)
			for _, way := range everyWay {
				for range 2 {
					g := way.send(t, p, &asked{method: "POST", target: "/", fields: []string{"Host: x", "X-Forwarded-For: 192.0.2.7"}, body: "body"})
					if g.status != 200 || g.body != "192.0.2.7:0" {
						t.Errorf("%s, TLS %v, %s: %d %q", version, secure, way.name, g.status, g.body)
					}
				}
			}
		}
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		mu.Lock()
		n := checks
		mu.Unlock()
		if n > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no health check succeeded")
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for c, n := range conns {
		if n != 1 {
			t.Errorf("a connection of %v had %d requests", c.RemoteAddr(), n)
		}
	}
}
