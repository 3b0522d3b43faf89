package proxy

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestForwardedForms: what trusted proxies report, in all its forms, through
// every listener.
func TestForwardedForms(t *testing.T) {
	rec := newRecorder(t, nil)
	for field, cases := range map[string][]struct {
		fields  []string
		status  int
		headers string // sorted, as an upstream sees them
	}{
		"X-Forwarded-For": {
			{[]string{"X-Forwarded-For: 1.1.1.1", "X-Forwarded-Proto: https, http"}, 200, "X-Forwarded-For: 1.1.1.1, 127.0.0.1\nX-Forwarded-Host: x\nX-Forwarded-Proto: https\n"},
			{[]string{"X-Forwarded-For: 1.1.1.1", "X-Forwarded-Proto: https,https"}, 200, "X-Forwarded-For: 1.1.1.1, 127.0.0.1\nX-Forwarded-Host: x\nX-Forwarded-Proto: https\n"},
			{[]string{"X-Forwarded-Proto: WSS"}, 200, "X-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: x\nX-Forwarded-Proto: https\n"},
			{[]string{"X-Forwarded-Proto: ws"}, 200, "X-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: x\nX-Forwarded-Proto: http\n"},
			{[]string{"X-Forwarded-Proto: http, https"}, 200, "X-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: x\nX-Forwarded-Proto: http\n"},
			{[]string{"X-Forwarded-Host: a.test, b.test", "X-Forwarded-Proto: http"}, 200, "X-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: a.test\nX-Forwarded-Proto: http\n"},
			{[]string{"Forwarded: for=1.1.1.1;proto=https;host=front.test"}, 200,
				"Forwarded: for=1.1.1.1;proto=https;host=front.test, for=127.0.0.1\nX-Forwarded-For: 1.1.1.1, 127.0.0.1\nX-Forwarded-Host: front.test\nX-Forwarded-Proto: https\n"},
			{[]string{"X-Forwarded-For: 1.1.1.1", "X-Forwarded-Proto: http", "Forwarded: for=6.6.6.6;proto=https"}, 200, "X-Forwarded-For: 1.1.1.1, 127.0.0.1\nX-Forwarded-Host: x\nX-Forwarded-Proto: http\n"},
			{[]string{"X-Forwarded-For: 1.1.1.1", "X-Forwarded-Proto: http", "X-Real-IP: 6.6.6.6"}, 200, "X-Forwarded-For: 1.1.1.1, 127.0.0.1\nX-Forwarded-Host: x\nX-Forwarded-Proto: http\nX-Real-Ip: 1.1.1.1\n"},
			{[]string{"X-Forwarded-For: 6.6.6.6, 9.9.9.9"}, 403, ""},
		},
		"Forwarded": {
			{[]string{`Forwarded: for=6.6.6.6, for="[2001:db9::1]:4711";proto=https, for=10.1.2.3;proto=http`}, 200,
				"Forwarded: for=\"[2001:db9::1]:4711\";proto=https, for=10.1.2.3;proto=http, for=127.0.0.1\nX-Forwarded-For: 2001:db9::1, 127.0.0.1\nX-Forwarded-Host: x\nX-Forwarded-Proto: https\n"},
			{[]string{"Forwarded: for=unknown, for=1.1.1.1;proto=http", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.test"}, 200,
				"Forwarded: for=1.1.1.1;proto=http, for=127.0.0.1\nX-Forwarded-For: 1.1.1.1, 127.0.0.1\nX-Forwarded-Host: x\nX-Forwarded-Proto: http\n"},
			{[]string{`Forwarded: for="6.6.6.6`, "Forwarded: for=1.1.1.1"}, 400, ""}, // else the client would pass for the proxy
			{[]string{`Forwarded: for="6.6.6.6, for=1.1.1.1`}, 400, ""},
			{[]string{`Forwarded: for="6.6.6.6, for="[2001:db9::1]"`}, 400, ""},
			{[]string{"Forwarded: for=9.9.9.9"}, 403, ""},
		},
		"CF-Connecting-IP": {
			{[]string{"CF-Connecting-IP: 1.1.1.1", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: http", "Forwarded: for=6.6.6.6"}, 200,
				"Cf-Connecting-Ip: 1.1.1.1\nX-Forwarded-For: 1.1.1.1, 127.0.0.1\nX-Forwarded-Host: x\nX-Forwarded-Proto: http\n"},
			{[]string{"CF-Connecting-IP: 2001:db9::1", "X-Forwarded-Proto: https"}, 200, "Cf-Connecting-Ip: 2001:db9::1\nX-Forwarded-For: 2001:db9::1, 127.0.0.1\nX-Forwarded-Host: x\nX-Forwarded-Proto: https\n"},
			{[]string{"CF-Connecting-IP: 1.1.1.1, 6.6.6.6"}, 400, ""},
			{[]string{"CF-Connecting-IP: 1.1.1.1", "CF-Connecting-IP: 6.6.6.6"}, 400, ""},
			{[]string{"CF-Connecting-IP: 9.9.9.9"}, 403, ""},
		},
	} {
		p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - {match: {from: [9.9.9.9]}, respond: {status: 403}}
  - backend: api
trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]
client_ip_field: `+field+"\n")
		for _, c := range cases {
			for _, way := range everyWay {
				g := way.send(t, p, &asked{method: "GET", target: "/", fields: append([]string{"Host: x"}, c.fields...)})
				saw := rec.take()
				if g.status != c.status || (c.status == 200) != (len(saw) == 1) {
					t.Errorf("%s, %s, %q: %+v", field, way.name, c.fields, g)
					continue
				}
				if len(saw) == 0 {
					continue
				}
				lines := strings.SplitAfter(saw[0].headers, "\n")
				var headers string
				for _, line := range lines {
					if !strings.HasPrefix(line, "X-Megaki-Session: ") && !strings.HasPrefix(line, "X-Megaki-Key: ") {
						headers += line
					}
				}
				if headers != c.headers {
					t.Errorf("%s, %s, %q: seen %q, want %q", field, way.name, c.fields, headers, c.headers)
				}
			}
		}
	}
}

// TestClientFieldFromAnybody: the field that is selected is dropped if no trusted
// proxy sent it.
func TestClientFieldFromAnybody(t *testing.T) {
	rec := newRecorder(t, nil)
	p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - backend: api
trusted_proxies: [10.0.0.0/8]
client_ip_field: CF-Connecting-IP
`)
	for _, way := range everyWay {
		way.send(t, p, &asked{method: "GET", target: "/", fields: []string{"Host: x", "CF-Connecting-IP: 6.6.6.6", "X-Forwarded-For: 6.6.6.6", "X-Real-IP: 6.6.6.6", "Forwarded: for=6.6.6.6"}})
		if saw := rec.take(); len(saw) != 1 || strings.Contains(saw[0].headers, "6.6.6.6") || !strings.Contains(saw[0].headers, "X-Forwarded-For: 127.0.0.1\n") {
			t.Errorf("%s: %q", way.name, saw)
		}
	}
}

// TestOperatorHasLastWord: what a route sets isn't overwritten by mkd's own
// fields, and what it removes doesn't come back.
func TestOperatorHasLastWord(t *testing.T) {
	rec := newRecorder(t, nil)
	p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - {headers: {request: {set: {X-Forwarded-Proto: https, X-Forwarded-Host: own.test}, remove: [X-Forwarded-For, X-Megaki-Session, X-Megaki-Key]}}, backend: api}
`)
	for _, way := range everyWay {
		way.send(t, p, &asked{method: "GET", target: "/", fields: []string{"Host: x"}})
		if saw := rec.take(); len(saw) != 1 || saw[0].headers != "X-Forwarded-Host: own.test\nX-Forwarded-Proto: https\n" {
			t.Errorf("%s: %q", way.name, saw)
		}
	}
}

// dumpServer prints $_SERVER.
const dumpServer = `<?php echo json_encode($_SERVER);`

// TestPHPSeesNoProxy: PHP behind FastCGI and in workers got X-Forwarded-* from
// mkd itself, took it for a proxy, and lost its port.
func TestPHPSeesNoProxy(t *testing.T) {
	f := startFPM(t, 2, map[string]string{"index.php": dumpServer})
	worker := filepath.Join(f.dir, "worker.php")
	if err := os.WriteFile(worker, []byte(`<?php $ARCANGELO_USERSPACE = ['on_http' => fn ($r) => new arca\Response(json_encode($_SERVER))];`), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, trusted := range []string{"[10.0.0.0/8]", "[127.0.0.0/8]"} {
		p, _ := allListeners(t, `
backends:
  fpm: {fastcgi: {addresses: ["unix:`+f.dir+`/s"], root: `+f.public+`, try: ["{path}", "{path}/", /index.php]}}
  worker: {php: {script: `+worker+`, workers: {min: 1, max: 1}}}
routes:
  - {match: {hosts: [worker.test]}, backend: worker}
  - {headers: {request: {set: {X-Own: operator}}}, backend: fpm}
trusted_proxies: `+trusted+"\n")
		for _, host := range []string{"worker.test", "fpm.test:8080"} {
			for _, way := range everyWay {
				g := way.send(t, p, &asked{method: "GET", target: "/page?a=b", fields: []string{"Host: " + host, "X-Forwarded-For: 6.6.6.6, 1.1.1.1",
					"X-Forwarded-Proto: https", "X-Forwarded-Host: front.test", "X-Forwarded-Port: 443", "X-Real-IP: 6.6.6.6", "Forwarded: for=6.6.6.6", "X-Own: client"}})
				var server map[string]any
				if err := json.Unmarshal([]byte(g.body), &server); err != nil {
					t.Fatalf("%s: %v in %+v", way.name, err, g)
				}
				listener := map[string]string{"http": "web", "https h1": "tls", "https h2": "tls", "https h3": "tls"}[way.name]
				want := map[string]any{"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": host, "HTTPS": nil, "REQUEST_SCHEME": "http", "REQUEST_URI": "/page?a=b",
					"HTTP_X_FORWARDED_FOR": nil, "HTTP_X_FORWARDED_PROTO": nil, "HTTP_X_FORWARDED_HOST": nil, "HTTP_X_FORWARDED_PORT": nil, "HTTP_X_REAL_IP": nil, "HTTP_FORWARDED": nil,
					"HTTP_X_MEGAKI_SESSION": nil, "SERVER_PORT": "443", "SERVER_SOFTWARE": "mkd (like nginx)"}
				if listener != "" {
					_, want["SERVER_PORT"], _ = strings.Cut(netip.MustParseAddrPort(p.Addr(listener).String()).String(), ":")
				}
				if way.secure || trusted == "[127.0.0.0/8]" {
					want["HTTPS"], want["REQUEST_SCHEME"] = "on", "https"
				}
				if trusted == "[127.0.0.0/8]" {
					want["REMOTE_ADDR"], want["HTTP_X_FORWARDED_FOR"], want["HTTP_X_FORWARDED_PROTO"], want["HTTP_X_FORWARDED_HOST"] = "1.1.1.1", "1.1.1.1", "https", "front.test"
					want["HTTP_X_FORWARDED_PORT"], want["HTTP_X_REAL_IP"] = "443", "1.1.1.1"
					if way.name != "megaki" { // whose listeners have no port of HTTP
						want["SERVER_PORT"] = map[string]string{"worker.test": "443", "fpm.test:8080": "8080"}[host]
					}
				}
				if host != "worker.test" {
					want["HTTP_X_OWN"] = "operator"
				}
				for name, value := range want {
					if server[name] != value {
						t.Errorf("%s, %s, trusted %s: %s is %v, want %v", way.name, host, trusted, name, server[name], value)
					}
				}
			}
		}
	}
}
