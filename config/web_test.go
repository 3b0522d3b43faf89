package config

import (
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"time"
)

// https and upstreams put a listener and a backend into minimal.
func https(text string) string {
	return withLine("listeners", `listeners: {web: {https: {address: ":443", `+text+`}}}`)
}

func upstreams(text string) string {
	return withLine("backends", `backends: {site: {http: {`+text+`}}}`)
}

func TestWebDefaults(t *testing.T) {
	cfg := mustParse(t, `
listeners:
  plain: {http: {address: ":80"}}
  files: {https: {address: ":443", tls: {cert: c, key: k}}}
  acme: {https: {address: ":444", hosts: [example.org], tls: {acme: {agree_terms: true}}}}
backends:
  api: {http: {upstreams: [{url: http://a}], health: {}}}
routes:
  - {match: {listeners: [files]}, redirect: {to: /new}}
  - {match: {listeners: [acme]}, respond: {}}
  - {backend: api, raw: {}, rate_limit: {rate: 2}}
`)
	web := Web{
		HeaderTimeout:  10 * time.Second,
		BodyTimeout:    time.Minute,
		MinRate:        240,
		WriteTimeout:   time.Minute,
		IdleTimeout:    2 * time.Minute,
		MaxHeader:      64 * KiB,
		MaxFields:      200,
		MaxRequests:    8192,
		MaxStreams:     100,
		MaxConnections: 20000,
	}
	for i, want := range []Listener{
		{Name: "plain", HTTP: &HTTP{Address: ":80", Web: web}},
		{Name: "files", HTTPS: &HTTPS{Address: ":443", TLS: TLS{MinVersion: "1.2", CertificateSource: CertificateSource{Cert: "c", Key: "k"}}, Web: web}},
		{Name: "acme", HTTPS: &HTTPS{Address: ":444", Hosts: []string{"example.org"}, Web: web,
			TLS: TLS{MinVersion: "1.2", CertificateSource: CertificateSource{ACME: &ACME{AgreeTerms: true, CA: "https://acme-v02.api.letsencrypt.org/directory"}}}}},
	} {
		if have := cfg.Listeners[i]; !reflect.DeepEqual(have, want) {
			t.Errorf("have %+v\nwant %+v", have, want)
		}
		if have, want := cfg.Listeners[i].Address(), *want.socket().address; have != want {
			t.Errorf("have the address %s, want %s", have, want)
		}
	}
	backend := &HTTPBackend{
		Upstreams:       []Upstream{{URL: "http://a", Weight: 1}},
		Balance:         Balance{By: "round_robin", MaxFails: 3, FailTimeout: 10 * time.Second},
		Health:          &Health{Path: "/", Interval: 5 * time.Second, Timeout: 2 * time.Second, Rise: 2, Fall: 3},
		DialTimeout:     5 * time.Second,
		ResponseTimeout: time.Minute,
		ReadTimeout:     time.Minute,
		IdleTimeout:     30 * time.Second,
		ResolveInterval: 10 * time.Second,
		Queue:           1024,
		QueueTimeout:    10 * time.Second,
		Host:            "pass",
	}
	if have := cfg.Backends[0].HTTP; !reflect.DeepEqual(have, backend) {
		t.Errorf("have %+v\nwant %+v", have, backend)
	}
	routes := []Route{
		{Match: Match{Listeners: []string{"files"}}, Redirect: &Redirect{To: "/new", Status: 302}, MaxBody: 100 * MiB, AccessLog: true},
		{Match: Match{Listeners: []string{"acme"}}, Respond: &Respond{Status: 200}, MaxBody: 100 * MiB, AccessLog: true},
		{Backend: "api", Raw: &Raw{Method: "POST", Path: "/", ContentType: "application/octet-stream"}, MaxBody: 100 * MiB, AccessLog: true,
			RateLimit: &RateLimit{Rate: 2, Burst: 1, By: "client"}},
	}
	if !reflect.DeepEqual(cfg.Routes, routes) {
		t.Errorf("have %+v\nwant %+v", cfg.Routes, routes)
	}
}

// everyWeb has every key that has to do with HTTP.
const everyWeb = `
listeners:
  plain:
    http: &web
      address: ":80"
      redirect_https: false
      header_timeout: 1s
      body_timeout: 2s
      min_rate: 3
      write_timeout: 4s
      idle_timeout: 5s
      max_header: 6KiB
      max_fields: 9
      max_requests: 10
      max_streams: 11
      max_connections: 7
      max_connections_per_ip: 3
      proxy_protocol: {from: [10.0.0.0/8]}
  secure:
    https:
      address: "[::]:443"
      hosts: [example.org, 192.0.2.1]
      tls: {acme: {email: me@example.org, agree_terms: true, ca: "https://ca.example.org/dir", ca_root: root.pem}}
      header_timeout: 1s
      body_timeout: 2s
      min_rate: 3
      write_timeout: 4s
      idle_timeout: 5s
      max_header: 6KiB
      max_fields: 9
      max_requests: 10
      max_streams: 11
      max_connections: 7
      max_connections_per_ip: 3
      proxy_protocol: {from: [10.0.0.0/8]}
  internal: {https: {address: ":444", hosts: ["*.example.org"], tls: {internal: true, cert: "", key: ""}}}
backends:
  api:
    http:
      upstreams: [{url: "http://a:1", weight: 2}, {url: "https://[::1]"}, {url: "unix:run/api.sock"}]
      balance: {by: header, header: X-Tenant, max_fails: 1, fail_timeout: 1m}
      health: {path: "/up?x=1", interval: 1s, timeout: 2s, status: 204, rise: 3, fall: 4, headers: {Host: a.example.org}}
      dial_timeout: 1s
      response_timeout: 2s
      read_timeout: 3s
      idle_timeout: 4s
      resolve_interval: 5s
      max_connections: 5
      queue: 6
      queue_timeout: 7s
      host: upstream
      rewrite_cookies: true
      tls: {ca: ca.pem, server_name: a.example.org, insecure: false, cert: c.pem, key: k.pem}
      buffer: true
      proxy_protocol: v2
      sticky: {cookie: server, secret_file: s.key}
      send_file: {root: b.dir, prefix: /protected}
routes:
  - match:
      listeners: [plain, secure]
      hosts: [example.org, "*.example.org", "[::1]"]
      paths: [/, /about, /api/*, "*.php", /a%2Fb]
      methods: [GET, M-SEARCH]
      headers: {x-a: b, Accept: "*", N: 1}
      from: [192.0.2.0/24, "2001:db8::1"]
    backend: api
    strip_prefix: /api
    name: web
    raw_path: true
    headers:
      request: {set: {Host: a, X-B: ""}, add: {X-C: c}, remove: [Cookie]}
      response: {set: {X-D: d}, add: {Vary: Origin}, remove: [Server]}
    timeout: 1s
    max_body: 2MiB
    rate_limit: {rate: 0.5, burst: 3, by: session}
  - {match: {paths: [/old]}, redirect: {to: "https://{host}/new?from={path}", status: 308}}
  - {match: {paths: [/down]}, respond: {status: 503, body: later}}
  - {backend: api, raw: {method: PUT, path: "/in?a=b", content_type: text/plain}}
trusted_proxies: [10.0.0.0/8]
client_ip_field: CF-Connecting-IP
storage: certs
`

func TestEverythingOfTheWeb(t *testing.T) {
	have := mustParse(t, strings.Replace(everyWeb, "storage: certs", "storage: certs.dir", 1))
	web := Web{
		HeaderTimeout:       time.Second,
		BodyTimeout:         2 * time.Second,
		MinRate:             3,
		WriteTimeout:        4 * time.Second,
		IdleTimeout:         5 * time.Second,
		MaxHeader:           6 * KiB,
		MaxFields:           9,
		MaxRequests:         10,
		MaxStreams:          11,
		MaxConnections:      7,
		MaxConnectionsPerIP: 3,
		ProxyProtocol:       ProxyProtocol{From: []string{"10.0.0.0/8"}},
	}
	defaults := Web{
		HeaderTimeout:  10 * time.Second,
		BodyTimeout:    time.Minute,
		MinRate:        240,
		WriteTimeout:   time.Minute,
		IdleTimeout:    2 * time.Minute,
		MaxHeader:      64 * KiB,
		MaxFields:      200,
		MaxRequests:    8192,
		MaxStreams:     100,
		MaxConnections: 20000,
	}
	listeners := []Listener{
		{Name: "plain", HTTP: &HTTP{Address: ":80", Web: web}},
		{Name: "secure", HTTPS: &HTTPS{Address: "[::]:443", Hosts: []string{"example.org", "192.0.2.1"}, Web: web, TLS: TLS{MinVersion: "1.2",
			CertificateSource: CertificateSource{ACME: &ACME{Email: "me@example.org", AgreeTerms: true, CA: "https://ca.example.org/dir", CARoot: "root.pem"}}}}},
		{Name: "internal", HTTPS: &HTTPS{Address: ":444", Hosts: []string{"*.example.org"}, TLS: TLS{MinVersion: "1.2", CertificateSource: CertificateSource{Internal: true}}, Web: defaults}},
	}
	backends := []Backend{{Name: "api", HTTP: &HTTPBackend{
		Upstreams:       []Upstream{{URL: "http://a:1", Weight: 2}, {URL: "https://[::1]", Weight: 1}, {URL: "unix:run/api.sock", Weight: 1}},
		Balance:         Balance{By: "header", Header: "X-Tenant", MaxFails: 1, FailTimeout: time.Minute},
		Health:          &Health{Path: "/up?x=1", Interval: time.Second, Timeout: 2 * time.Second, Status: 204, Rise: 3, Fall: 4, Headers: map[string]string{"Host": "a.example.org"}},
		DialTimeout:     time.Second,
		ResponseTimeout: 2 * time.Second,
		ReadTimeout:     3 * time.Second,
		IdleTimeout:     4 * time.Second,
		ResolveInterval: 5 * time.Second,
		MaxConnections:  5,
		Queue:           6,
		QueueTimeout:    7 * time.Second,
		Host:            "upstream",
		RewriteCookies:  true,
		TLS:             UpstreamTLS{CA: "ca.pem", ServerName: "a.example.org", Cert: "c.pem", Key: "k.pem"},
		Buffer:          true,
		ProxyProtocol:   "v2",
		Sticky:          &Sticky{Cookie: "server", SecretFile: "s.key"},
		SendFile:        &SendFile{Root: "b.dir", Prefix: "/protected"},
	}}}
	routes := []Route{
		{
			Match: Match{
				Listeners: []string{"plain", "secure"},
				Conditions: Conditions{
					Hosts:   []string{"example.org", "*.example.org", "[::1]"},
					Paths:   []string{"/", "/about", "/api/*", "*.php", "/a%2Fb"},
					Methods: []string{"GET", "M-SEARCH"},
					Headers: map[string]string{"x-a": "b", "Accept": "*", "N": "1"},
					From:    []string{"192.0.2.0/24", "2001:db8::1"},
				},
			},
			Name:        "web",
			Backend:     "api",
			StripPrefix: "/api",
			RawPath:     true,
			Headers: Headers{
				Request:  HeaderChanges{Set: map[string]string{"Host": "a", "X-B": ""}, Add: map[string]string{"X-C": "c"}, Remove: []string{"Cookie"}},
				Response: HeaderChanges{Set: map[string]string{"X-D": "d"}, Add: map[string]string{"Vary": "Origin"}, Remove: []string{"Server"}},
			},
			Timeout: time.Second,
			MaxBody: 2 * MiB, AccessLog: true,
			RateLimit: &RateLimit{Rate: 0.5, Burst: 3, By: "session"},
		},
		{Match: Match{Conditions: Conditions{Paths: []string{"/old"}}}, Redirect: &Redirect{To: "https://{host}/new?from={path}", Status: 308}, MaxBody: 100 * MiB, AccessLog: true},
		{Match: Match{Conditions: Conditions{Paths: []string{"/down"}}}, Respond: &Respond{Status: 503, Body: "later"}, MaxBody: 100 * MiB, AccessLog: true},
		{Backend: "api", Raw: &Raw{Method: "PUT", Path: "/in?a=b", ContentType: "text/plain"}, MaxBody: 100 * MiB, AccessLog: true},
	}
	for _, part := range []struct{ have, want any }{
		{have.Listeners, listeners}, {have.Backends, backends}, {have.Routes, routes},
		{have.TrustedProxies, []string{"10.0.0.0/8"}}, {have.ClientIPField, "CF-Connecting-IP"}, {have.Storage.Path, "certs.dir"},
	} {
		if !reflect.DeepEqual(part.have, part.want) {
			t.Errorf("have %+v\nwant %+v", part.have, part.want)
		}
	}
}

func TestWebErrors(t *testing.T) {
	const tls = `2:49: listeners.web.https.tls: `
	hosts := func(host string) string { return https(`tls: {cert: c, key: k}, hosts: [` + host + `]`) }
	host := func(quoted, what string) string {
		return `2:76: listeners.web.https.hosts[0]: got ` + quoted + `; ` + what
	}
	url := func(url string) string { return upstreams(`upstreams: [{url: "` + url + `"}]`) }
	wrong := func(url, what string) string {
		return `3:44: backends.site.http.upstreams[0].url: got "` + url + `"; ` + what
	}
	network := func(s string) string { return minimal + `trusted_proxies: ["` + s + `"]` }
	acme := func(email, ca string) string {
		return https(`hosts: [a.b], tls: {acme: {agree_terms: true, email: "` + email + `", ca: "` + ca + `"}}`)
	}
	const notURL = "want http://host:port, https://host:port, unix:/path for a socket, or, for HTTP/2, h2c://host:port, h2://host:port"
	for _, c := range []struct{ name, text, want string }{
		// Where certificates come from.
		{"no tls", https(``), "2:19: listeners.web.https.tls: the key is missing, and must be given"},
		{"no source", https(`tls: {}`), tls + "where do the certificates come from? Give acme, or cert and key, or internal: true"},
		{"internal: false", https(`tls: {internal: false}`), tls + "where do the certificates come from? Give acme, or cert and key, or internal: true"},
		{"two sources", https(`tls: {cert: c, key: k, internal: true}`), tls + "it has more than one source of certificates; keep one of acme, cert with key, and internal: true"},
		{"three sources", https(`tls: {acme: {}, cert: c, internal: true}`), tls + "it has more than one source of certificates; keep one of acme, cert with key, and internal: true"},
		{"no key", https(`tls: {cert: c}`), "2:56: listeners.web.https.tls.cert: cert and key go together; give key too"},
		{"no cert", https(`tls: {key: k}`), "2:55: listeners.web.https.tls.key: cert and key go together; give cert too"},
		{"key missing", https(`tls: {cert: c, key: missing.key}`), "2:64: listeners.web.https.tls.key: missing.key doesn't exist; it is the private key that was made together with the certificate in cert, as by certbot or openssl"},
		{"cert missing", https(`tls: {cert: missing, key: k}`), "2:56: listeners.web.https.tls.cert: missing doesn't exist; relative paths start at the folder of the configuration file"},
		{"nothing but client_auth", https(`tls: {client_auth: {ca: c}}`), tls + "where do the certificates come from? Give acme, or cert and key, or internal: true"},
		{"certificates without a source", https(`tls: {certificates: [{hosts: [a.b]}]}`), "2:65: listeners.web.https.tls.certificates[0]: where do the certificates come from? Give acme, or cert and key, or internal: true"},
		{"two sources of one", https(`tls: {certificates: [{cert: c, key: k, internal: true, hosts: [a.b]}]}`), "2:65: listeners.web.https.tls.certificates[0]: it has more than one source of certificates; keep one of acme, cert with key, and internal: true"},
		{"one without hosts", https(`tls: {certificates: [{internal: true}]}`), "2:65: listeners.web.https.tls.certificates[0].hosts: which names are the certificates for? List them, as in hosts: [example.org]"},
		{"one without a key", https(`tls: {certificates: [{cert: c}]}`), "2:72: listeners.web.https.tls.certificates[0].cert: cert and key go together; give key too"},
		{"one as a word", https(`tls: {certificates: [c]}`), `2:65: listeners.web.https.tls.certificates[0]: got "c"; want keys with values, as in {cert: c.pem, key: k.pem}`},
		{"a name twice", https(`hosts: [a.b], tls: {internal: true, certificates: [{cert: c, key: k, hosts: [c.d, a.b]}]}`),
			"2:126: listeners.web.https.tls.certificates[0].hosts[1]: listeners.web.https.hosts[0] has this name already, and a name has one certificate; take one out"},
		{"hosts of no certificate", https(`hosts: [a.b], tls: {certificates: [{cert: c, key: k}]}`), "2:51: listeners.web.https.hosts: tls itself has no certificate that is for them; move them to those in tls.certificates"},
		{"min_version", https(`tls: {cert: c, key: k, min_version: 1.1}`), `2:80: listeners.web.https.tls.min_version: got the number 1.1; want 1.2 or 1.3; did you mean "1.2"?`},
		{"client_auth as a word", https(`tls: {cert: c, key: k, client_auth: ca}`), `2:80: listeners.web.https.tls.client_auth: got "ca"; want keys with values, as in {ca: ca}`},
		{"client_auth without ca", https(`tls: {cert: c, key: k, client_auth: {mode: require}}`), `2:67: listeners.web.https.tls.client_auth.ca: the key is missing, and must be given`},
		{"client_auth's mode", https(`tls: {cert: c, key: k, client_auth: {ca: c, mode: optional}}`), `2:94: listeners.web.https.tls.client_auth.mode: got "optional"; want require or verify_if_given`},
		{"mistyped source", https(`tls: {intrenal: true}`), `2:50: listeners.web.https.tls.intrenal: unknown key; did you mean "internal"?`},
		{"no block", https(`tls: internal`), `2:49: listeners.web.https.tls: got "internal"; want keys with values, as in {cert: c.pem, key: k.pem}`},
		{"internal without hosts", https(`tls: {internal: true}`), "2:19: listeners.web.https.hosts: which names are the certificates for? List them, as in hosts: [example.org]"},
		{"acme without anything", https(`tls: {acme: {}}`), "2:19: listeners.web.https.hosts: which names are the certificates for? List them, as in hosts: [example.org]\n" +
			"2:50: listeners.web.https.tls.acme.agree_terms: authorities give certificates only to those who agree to their terms of service; read them, and set agree_terms: true"},
		{"acme with a wildcard", https(`tls: {acme: {agree_terms: true}}, hosts: [example.org, "*.example.org"]`),
			"2:99: listeners.web.https.hosts[1]: an authority gives wildcard certificates only by dns-01; give acme a dns block, as in dns: {rfc2136: {server: 192.0.2.53:53, key_file: tsig.key}}, or list the names"},
		{"acme with an error in it", https(`tls: {acme: {emial: x}}, hosts: [example.org]`), "2:50: listeners.web.https.tls.acme.agree_terms: authorities give certificates only to those who agree to their terms of service; read them, and set agree_terms: true\n" +
			`2:57: listeners.web.https.tls.acme.emial: unknown key; did you mean "email"?`},
		{"http3 behind proxy_protocol", https(`tls: {cert: c, key: k}, http3: true, proxy_protocol: {from: [10.0.0.0/8]}`), "2:75: listeners.web.https.http3: HTTP/3 has no PROXY header, so that the load balancers of proxy_protocol can't pass the client's address on; remove http3"},
		{"on_demand without ask", https(`tls: {acme: {agree_terms: true, on_demand: {per_hour: 0}}}`), "2:76: listeners.web.https.tls.acme.on_demand.ask: the key is missing, and must be given\n2:98: listeners.web.https.tls.acme.on_demand.per_hour: got the number 0; want 1 to 100000"},
		{"on_demand as a word", https(`tls: {acme: {agree_terms: true, on_demand: true}}`), "2:87: listeners.web.https.tls.acme.on_demand: got true; want keys with values, as in {ask: http://127.0.0.1:9000/ask}"},
		{"two on demand", https(`tls: {acme: {agree_terms: true, on_demand: {ask: "http://a/b"}}, certificates: [{acme: {agree_terms: true, on_demand: {ask: "http://a/b"}}}]}`), "2:162: listeners.web.https.tls.certificates[0].acme.on_demand: listeners.web.https.tls.acme.on_demand is there already, and a name that is in no hosts has one certificate; remove one"},
		{"dns without a kind", https(`tls: {acme: {agree_terms: true, dns: {}}}, hosts: ["*.a.b"]`), "2:76: listeners.web.https.tls.acme.dns: its kind is missing; it must have one of the keys: rfc2136, exec, provider"},
		{"dns with two kinds", https(`tls: {acme: {agree_terms: true, dns: {exec: [a], rfc2136: {server: "a:1"}}}}, hosts: ["*.a.b"]`), "2:93: listeners.web.https.tls.acme.dns: it has both exec and rfc2136; keep one of them"},
		{"dns without a program", https(`tls: {acme: {agree_terms: true, dns: {exec: []}}}, hosts: ["*.a.b"]`), "2:88: listeners.web.https.tls.acme.dns.exec: it is empty; give the program that changes the DNS"},
		{"dns server", https(`tls: {acme: {agree_terms: true, dns: {rfc2136: {server: 192.0.2.53}}}}, hosts: ["*.a.b"]`), `2:100: listeners.web.https.tls.acme.dns.rfc2136.server: got "192.0.2.53"; the port is missing; write 192.0.2.53:53`},
		{"dns server as a word", https(`tls: {acme: {agree_terms: true, dns: {rfc2136: "ns:53"}}}, hosts: ["*.a.b"]`), `2:91: listeners.web.https.tls.acme.dns.rfc2136: got "ns:53"; want keys with values, as in {server: "ns:53", key_file: tsig.key}`},
		{"email", acme("mailto:me@example.org", "https://a/b"), `2:97: listeners.web.https.tls.acme.email: got "mailto:me@example.org"; want a mail address, as in me@example.org`},
		{"no host of email", acme("me@", "https://a/b"), `2:97: listeners.web.https.tls.acme.email: got "me@"; want a mail address, as in me@example.org`},
		{"ca", acme("", "acme.example.org"), `2:105: listeners.web.https.tls.acme.ca: got "acme.example.org"; want an address, as in https://example.org/directory`},
		{"ca without a host", acme("", "https://:1/x"), `2:105: listeners.web.https.tls.acme.ca: got "https://:1/x"; want an address, as in https://example.org/directory`},

		// Names of certificates.
		{"host twice", hosts("a.b, a.b"), "2:81: listeners.web.https.hosts[1]: a.b is a duplicate; take one out"},
		{"host's url", hosts("'https://a.b'"), host(`"https://a.b"`, "want a host alone, as in example.org")},
		{"host's port", hosts("'a.b:443'"), host(`"a.b:443"`, "a port isn't allowed: hosts are compared without it")},
		{"host in capitals", hosts("A.b"), host(`"A.b"`, "hosts are written in lower case: a.b")},
		{"host's dot", hosts("a.b."), host(`"a.b."`, "leave out the dot at the end")},
		{"host's star", hosts("'a.*.b'"), host(`"a.*.b"`, "a * is allowed only at the front, for all names below a host, as in *.example.org")},
		{"star alone", hosts("'*'"), host(`"*"`, "a * is allowed only at the front, for all names below a host, as in *.example.org")},
		{"host's letters", hosts("bücher.example"), host(`"bücher.example"`, "want a host name, as in example.org; other letters than a to z are written in the xn-- form")},
		{"host's hyphen", hosts("a-.b"), host(`"a-.b"`, "want a host name, as in example.org; other letters than a to z are written in the xn-- form")},
		{"host's label", hosts("a..b"), host(`"a..b"`, "want a host name, as in example.org; other letters than a to z are written in the xn-- form")},
		{"host's brackets", hosts("'[::1]'"), host(`"[::1]"`, "an address has no brackets here: ::1")},

		// Addresses of the web.
		{"no port", withLine("listeners", "listeners: {web: {http: {address: localhost}}}"), `2:35: listeners.web.http.address: got "localhost"; want host:port, as in 127.0.0.1:80, or :80 for all addresses`},
		{"no port of https", withLine("listeners", "listeners: {web: {https: {address: '::', tls: {cert: c, key: k}}}}"), `2:36: listeners.web.https.address: got "::"; the port is missing; write [::]:443`},
		{"port alone", withLine("listeners", "listeners: {web: {http: {address: 80}}}"), `2:35: listeners.web.http.address: got the number 80; want a string such as 127.0.0.1:80; put it in quotes`},
		{"taken by another kind", withLine("listeners", "listeners: {a: {http: {address: ':1'}}, b: {megaki: {address: ':1', keys: [k]}}}"), "2:63: listeners.b.megaki.address: the listener a has this address already; take another port"},
		{"header", withLine("listeners", "listeners: {web: {http: {address: ':80', max_header: 2MiB}}}"), `2:54: listeners.web.http.max_header: got "2MiB"; want 1KiB to 1MiB`},

		// Networks.
		{"network", network("10.0.0.0/33"), `5:19: trusted_proxies[0]: got "10.0.0.0/33"; want a network, as in 10.0.0.0/8 or 2001:db8::/32, or an address`},
		{"host as network", network("localhost"), `5:19: trusted_proxies[0]: got "localhost"; want a network, as in 10.0.0.0/8 or 2001:db8::/32, or an address`},
		{"bits", network("10.0.0.1/8"), `5:19: trusted_proxies[0]: got "10.0.0.1/8"; bits are set behind the prefix; write 10.0.0.0/8`},
		{"zone", network("fe80::1%eth0"), `5:19: trusted_proxies[0]: got "fe80::1%eth0"; a zone isn't allowed; leave out the % and what follows`},
		{"mapped address", network("::ffff:10.0.0.1"), `5:19: trusted_proxies[0]: got "::ffff:10.0.0.1"; write IPv4 as such, as in 10.0.0.0/8: clients are compared with it in that form`},
		{"mapped network", network("::ffff:10.0.0.0/104"), `5:19: trusted_proxies[0]: got "::ffff:10.0.0.0/104"; write IPv4 as such, as in 10.0.0.0/8: clients are compared with it in that form`},

		// Upstreams.
		{"no upstreams", upstreams(``), "3:19: backends.site.http.upstreams: the key is missing, and must be given"},
		{"a list of words", upstreams(`upstreams: [a]`), `3:38: backends.site.http.upstreams[0]: got "a"; want keys with values, as in {url: a}`},
		{"no scheme", url("localhost:9000"), wrong("localhost:9000", "write http://localhost:9000")},
		{"no scheme, address", url("127.0.0.1:9000"), wrong("127.0.0.1:9000", "write http://127.0.0.1:9000")},
		{"scheme", url("ftp://a"), wrong("ftp://a", notURL)},
		{"no host", url("http://:80"), wrong("http://:80", notURL)},
		{"not an url", url("http://a b"), wrong("http://a b", notURL)},
		{"star", url("http://*:80"), wrong("http://*:80", "the host is neither an IP address nor a name")},
		{"user", url("http://u:p@a"), wrong("http://u:p@a", "a user and a password aren't allowed; set an Authorization field in the headers of the route")},
		{"path", url("http://a/b"), wrong("http://a/b", "leave out what follows the host and port: requests keep their path, and strip_prefix of a route takes something off")},
		{"query", url("http://a?"), wrong("http://a?", "leave out what follows the host and port: requests keep their path, and strip_prefix of a route takes something off")},
		{"port", url("http://a:0"), wrong("http://a:0", "the port must be a number from 1 to 65535")},
		{"empty port", url("http://a:"), wrong("http://a:", "the port must be a number from 1 to 65535")},
		{"socket", url("unix:"), wrong("unix:", "want the path of a socket, as in unix:/run/app.sock")},
		{"socket's slashes", url("unix:///run/a"), wrong("unix:///run/a", "want the path of a socket, as in unix:/run/app.sock")},
		{"only backups", upstreams(`upstreams: [{url: http://a, backup: true}, {url: http://b, backup: true}]`), "3:62: backends.site.http.upstreams[0].backup: all servers are backups of others; one at least must not be"},
		{"long socket", url("unix:/" + strings.Repeat("x", 107)), `3:44: backends.site.http.upstreams[0].url: the path of the socket has 108 bytes; 107 are the most`},
		{"same upstream", upstreams(`upstreams: [{url: http://a}, {url: http://b}, {url: "http://A:80/"}]`), "3:78: backends.site.http.upstreams[2].url: it is the same server as upstreams[0]; for a larger share give that one a weight"},
		{"same socket", upstreams(`upstreams: [{url: "unix:a"}, {url: "unix:./x/../a"}]`), "3:61: backends.site.http.upstreams[1].url: it is the same server as upstreams[0]; for a larger share give that one a weight"},
		{"balance", upstreams(`upstreams: [{url: http://a}], balance: {by: roundrobin}`), `3:70: backends.site.http.balance.by: got "roundrobin"; want round_robin, least_conn, random_two, ip_hash or header; did you mean "round_robin"?`},
		{"health's path", upstreams(`upstreams: [{url: http://a}], health: {path: healthz}`), `3:71: backends.site.http.health.path: got "healthz"; want a path, as in /healthz or /search?q=1`},
		{"health's host", upstreams(`upstreams: [{url: http://a}], health: {path: //a/b}`), `3:71: backends.site.http.health.path: got "//a/b"; want a path, as in /healthz or /search?q=1`},
		{"health's status", upstreams(`upstreams: [{url: http://a}], health: {status: 100}`), "3:73: backends.site.http.health.status: got 100; want 200 to 599, or 0 for any from 200 to 399"},
		{"server's name", upstreams(`upstreams: [{url: http://a}], tls: {server_name: "*.a.b"}`), `3:75: backends.site.http.tls.server_name: got "*.a.b"; want the name itself; a wildcard certificate for it will do`},

		{"balance by no field", upstreams(`upstreams: [{url: http://a}], balance: {by: header}`), `3:70: backends.site.http.balance.by: whose value decides? Give header, as in {by: header, header: X-Tenant}`},
		{"balance's idle field", upstreams(`upstreams: [{url: http://a}], balance: {header: X-A}`), `3:74: backends.site.http.balance.header: it decides only with by: header; take it out, or set that`},
		{"balance's field", upstreams(`upstreams: [{url: http://a}], balance: {by: header, header: Connection}`), `3:86: backends.site.http.balance.header: got "Connection"; it can never match: fields about the connection, and those with _ or . in their names, are removed before routes match`},
		{"sticky without a cookie", upstreams(`upstreams: [{url: http://a}], sticky: {}`), `3:56: backends.site.http.sticky.cookie: the key is missing, and must be given`},
		{"sticky's cookie", upstreams(`upstreams: [{url: http://a}], sticky: {cookie: "a b"}`), `3:73: backends.site.http.sticky.cookie: got "a b"; the name of a cookie has letters, digits, - and _, as in server`},
		{"sticky's prefix", upstreams(`upstreams: [{url: http://a}], sticky: {cookie: __Host-a}`), `3:73: backends.site.http.sticky.cookie: got "__Host-a"; names that begin with __ are for cookies with rules of their own; use another`},
		{"upstream's PROXY protocol", upstreams(`upstreams: [{url: http://a}], proxy_protocol: true`), `3:72: backends.site.http.proxy_protocol: got true; want a string; put it in quotes`},
		{"upstream's PROXY version", upstreams(`upstreams: [{url: http://a}], proxy_protocol: v3`), `3:72: backends.site.http.proxy_protocol: got "v3"; want v1 or v2; did you mean "v1"?`},
		{"two versions", upstreams(`upstreams: [{url: http://a}, {url: h2c://b}]`), `3:61: backends.site.http.upstreams[1].url: it speaks another version of HTTP than upstreams[0]; make a backend of its own for each version`},
		{"h2's connections", upstreams(`upstreams: [{url: h2://a}], max_connections: 5`), `3:71: backends.site.http.max_connections: requests share the connections of HTTP/2; take it out, and bound them by max_in_flight of the route`},
		{"h2's PROXY protocol", upstreams(`upstreams: [{url: h2c://a}], proxy_protocol: v2`), `3:71: backends.site.http.proxy_protocol: clients share the connections of HTTP/2; take it out: servers have the client's address in X-Forwarded-For`},
		{"same h2", upstreams(`upstreams: [{url: h2://a}, {url: "h2://A:443"}]`), "3:59: backends.site.http.upstreams[1].url: it is the same server as upstreams[0]; for a larger share give that one a weight"},
		{"tls cert alone", upstreams(`upstreams: [{url: https://a}], tls: {cert: c.pem}`), `3:69: backends.site.http.tls.cert: cert and key go together; give key too`},
		{"tls key alone", upstreams(`upstreams: [{url: https://a}], tls: {key: k.pem}`), `3:68: backends.site.http.tls.key: cert and key go together; give cert too`},
		{"health's field", upstreams(`upstreams: [{url: http://a}], health: {headers: {Upgrade: x}}`), `3:75: backends.site.http.health.headers.Upgrade: it can't be changed: it frames the message or concerns the connection`},
		{"health's field twice", upstreams(`upstreams: [{url: http://a}], health: {headers: {a: x, A: y}}`), `3:74: backends.site.http.health.headers: the field a is given twice; upper and lower case don't differ`},
		{"send_file of http", upstreams(`upstreams: [{url: http://a}], send_file: {root: missing}`), `3:74: backends.site.http.send_file.root: missing doesn't exist; relative paths start at the folder of the configuration file`},

		// Storage.
		{"storage", minimal + "storage: file", "5:10: storage: file isn't a folder"},
		{"no storage", minimal + "storage: ''", "5:10: storage: it is empty; give it a value, or leave the key out for storage"},
	} {
		t.Run(c.name, func(t *testing.T) { wantErrors(t, c.text, c.want) })
	}
}

// TestDefaultStorage: it starts at the folder of the file, and must be a folder
// if something will be kept there.
func TestDefaultStorage(t *testing.T) {
	internal := https("hosts: [a.b], tls: {internal: true}")
	cfg, err := parse("etc/config.yaml", []byte(internal), "etc", fakeStat)
	if err != nil || cfg.Storage.Path != "etc/storage" {
		t.Errorf("have %+v, %v", cfg, err)
	}
	isFile := func(string) (fs.FileInfo, error) { return fakeFile{mode: 0o600}, nil }
	_, err = parse("config.yaml", []byte(internal), ".", isFile)
	const want = "config.yaml:1:1: storage.path: storage isn't a folder, and certificates are kept there; give another in storage"
	if err == nil || err.Error() != want {
		t.Errorf("have %v\nwant %s", err, want)
	}
	if _, err = parse("config.yaml", []byte(minimal), ".", isFile); err != nil {
		t.Errorf("it isn't needed, but: %v", err)
	}
}

// TestSockets: their paths start at the folder of the file.
func TestSockets(t *testing.T) {
	text := upstreams(`upstreams: [{url: "unix:run/a.sock"}, {url: "unix:/run/../a.sock"}]`)
	cfg, err := parse("etc/config.yaml", []byte(text), "etc", fakeStat)
	if err != nil {
		t.Fatal(err)
	}
	if u := cfg.Backends[0].HTTP.Upstreams; u[0].URL != "unix:etc/run/a.sock" || u[1].URL != "unix:/a.sock" {
		t.Errorf("have %v", u)
	}
}

func TestWebWarnings(t *testing.T) {
	const acme = `tls: {acme: {agree_terms: true}}`
	for _, c := range []struct{ name, text, want string }{
		{"nothing odd", https(`hosts: [example.org], ` + acme), ""},
		{"open key", https(`tls: {cert: open, key: open.key}`), "2:67: listeners.web.https.tls.key: open.key can be read by others than its owner; chmod 600 it"},
		{"not public", https(`hosts: [localhost, 192.0.2.1, a.b], ` + acme),
			"2:52: listeners.web.https.hosts[0]: a public authority gives no certificate for this, as it isn't a name of the public DNS; see internal: true for development\n" +
				"2:63: listeners.web.https.hosts[1]: a public authority gives no certificate for this, as it isn't a name of the public DNS; see internal: true for development"},
		{"one's own authority", withLine("listeners", `listeners: {web: {https: {address: ":8443", hosts: [localhost], tls: {acme: {agree_terms: true, ca: "https://a/b"}}}}}`), ""},
		{"other port", withLine("listeners", `listeners: {web: {https: {address: ":8443", hosts: [a.b], `+acme+`}}}`),
			"2:36: listeners.web.https.address: the authority will ask on port 443 or 80, and no listener is there; unless port 443 is forwarded to this one, there will be no certificate"},
		{"other port beside http", withLine("listeners", `listeners: {web: {https: {address: ":8443", hosts: [a.b], `+acme+`}}, plain: {http: {address: ":80"}}}`), ""},
		{"nowhere to redirect", withLine("listeners", `listeners: {app: {megaki: {address: ":1", keys: [k]}}, plain: {http: {address: ":80", redirect_https: true}}}`),
			"2:103: listeners.plain.http.redirect_https: there is no https listener that clients could be sent to"},
		{"any port", withLine("listeners", `listeners: {a: {http: {address: ":0"}}, b: {http: {address: ":0"}}, c: {http: {address: '127.0.0.1:81'}}, d: {http: {address: ":80"}}}`), ""},
		{"queue", upstreams(`upstreams: [{url: http://a}], queue: 5, queue_timeout: 1s`),
			"3:63: backends.site.http.queue: it has no effect without max_connections: no request waits for a connection\n" +
				"3:81: backends.site.http.queue_timeout: it has no effect without max_connections: no request waits for a connection"},
		{"queue with connections", upstreams(`upstreams: [{url: http://a}], queue: 5, max_connections: 1`), ""},
		{"tls", upstreams(`upstreams: [{url: http://a}], tls: {insecure: true}`), "3:61: backends.site.http.tls: it has no effect: no upstream has an https or h2 URL"},
		{"ca beside insecure", upstreams(`upstreams: [{url: https://a}], tls: {insecure: true, ca: c}`), "3:83: backends.site.http.tls.ca: it has no effect beside insecure: true, with which any certificate is taken"},
	} {
		t.Run(c.name, func(t *testing.T) { wantWarnings(t, c.text, c.want) })
	}
}
