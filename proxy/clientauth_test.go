package proxy

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mkd/internal/testserver/testca"
)

// TestSeveralCertificates has three names on one listener, each with a certificate from
// elsewhere, and two kinds of keys for one of them.
func TestSeveralCertificates(t *testing.T) {
	ca := testca.New(t, "servers", time.Hour)
	ecdsa, rsa, wild := ca.Server(1, "a.example"), ca.ServerRSA(2, "a.example"), ca.Server(3, "*.b.example", "www.c.example")
	cfg := load(t, `
listeners:
  web:
    https:
      address: "127.0.0.1:0"
      tls:
        certificates:
          - {cert: `+ecdsa.Cert+`, key: `+ecdsa.Key+`}
          - {cert: `+rsa.Cert+`, key: `+rsa.Key+`}
          - {cert: `+wild.Cert+`, key: `+wild.Key+`, hosts: ["*.b.example"]}
          - {internal: true, hosts: [c.example, in.b.example]}
  modern: {https: {address: "127.0.0.1:0", hosts: [c.example], tls: {internal: true, min_version: 1.3}}}
backends:
  files: {files: {root: DIR}}
routes:
  - backend: files
`)
	p, _ := start(t, cfg)
	shake := func(listener, name string, version uint16, suites ...uint16) (string, error) {
		conn, err := tls.Dial("tcp", p.Addr(listener).String(), &tls.Config{ServerName: name, InsecureSkipVerify: true, MaxVersion: version, CipherSuites: suites})
		if err != nil {
			return "", err
		}
		defer conn.Close()
		leaf := conn.ConnectionState().PeerCertificates[0]
		if len(leaf.Issuer.Organization) > 0 {
			return "internal", nil
		}
		return leaf.SerialNumber.String(), nil
	}
	for name, want := range map[string]string{
		"": "1", "a.example": "1", "A.Example": "1", "x.b.example": "3", "c.example": "internal", "in.b.example": "internal",
	} {
		if got, err := shake("web", name, 0); got != want {
			t.Errorf("%q: the certificate %s, %v; want %s", name, got, err, want)
		}
	}
	if got, err := shake("web", "a.example", tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256); got != "2" {
		t.Errorf("a client that knows RSA only: %s, %v", got, err)
	}
	for _, name := range []string{"d.example", "b.example", "x.y.b.example", "www.c.example"} {
		if got, err := shake("web", name, 0); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if _, err := shake("modern", "c.example", tls.VersionTLS12); err == nil {
		t.Error("min_version: 1.3 takes TLS 1.2")
	}
	if _, err := shake("modern", "c.example", 0); err != nil {
		t.Error(err)
	}
}

// clientAuthSite is a listener with names that have different rules for certificates of
// clients: open has none, one asks, and two, below another authority, demands.
type clientAuthSite struct {
	daemon  *Daemon
	rec     *recorder
	clients [2]testca.Pair // of the authorities of one and of two
}

func newClientAuthSite(t *testing.T) *clientAuthSite {
	t.Helper()
	s := &clientAuthSite{rec: newRecorder(t, nil)}
	servers, one, two := testca.New(t, "servers", time.Hour), testca.New(t, "CA one", time.Hour), testca.New(t, "CA two", time.Hour)
	cert := servers.Server(1, "open.example", "one.example", "two.example")
	s.clients[0] = one.Client(0xabcd, pkix.Name{CommonName: "Jürgen\r\nX-Evil: 1", Organization: []string{"A, B"}})
	s.clients[1] = two.Client(2, pkix.Name{CommonName: "two"})
	pair := "cert: " + cert.Cert + ", key: " + cert.Key
	s.daemon, _ = start(t, load(t, `
listeners:
  web:
    https:
      address: "127.0.0.1:0"
      hosts: [open.example]
      tls:
        `+strings.ReplaceAll(pair, ", ", "\n        ")+`
        certificates:
          - {`+pair+`, hosts: [one.example], client_auth: {ca: `+one.File+`, mode: verify_if_given}}
          - {`+pair+`, hosts: [two.example], client_auth: {ca: `+two.File+`}}
  plain: {http: {address: "127.0.0.1:0"}}
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
backends:
  api: {http: {upstreams: [{url: `+s.rec.URL+`}]}}
routes:
  - {match: {paths: [/admin, /admin/*]}, client_certificate: required, backend: api}
  - {match: {paths: [/staff/*]}, client_certificate: required, routes: [{match: {paths: [/staff/x]}, backend: api}, {backend: api}]}
  - backend: api
`))
	return s
}

// get sends a request for a host on a connection that was opened for another, and
// returns the status, 0 if the handshake failed.
func (s *clientAuthSite) get(t *testing.T, serverName, host, path string, h2 bool, cert *testca.Pair) int {
	t.Helper()
	dial := func(_ context.Context, _, _ string) (net.Conn, error) {
		return net.Dial("tcp", s.daemon.Addr("web").String())
	}
	c := &tls.Config{ServerName: serverName, InsecureSkipVerify: true}
	if cert != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert.Certificate, nil }
	}
	tr := &http.Transport{DialContext: dial, TLSClientConfig: c, ForceAttemptHTTP2: h2, DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	r, err := http.NewRequest("GET", "https://"+serverName+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	r.Header.Set("X-SSL-Client-Verify", "SUCCESS")
	r.Header.Set("X-SSL-Client-S-DN", "CN=forged")
	r.Header.Set("X-Ssl-Client-Anything", "forged")
	resp, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Do(r)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	if h2 != (resp.ProtoMajor == 2) {
		t.Errorf("%s", resp.Proto)
	}
	return resp.StatusCode
}

// TestClientAuth: a certificate is demanded on one route only, or for a name, and no Host
// gets around it.
func TestClientAuth(t *testing.T) {
	s := newClientAuthSite(t)
	one, two := &s.clients[0], &s.clients[1]
	for _, c := range []struct {
		serverName, host, path string
		cert                   *testca.Pair
		status                 int
		fields                 string // that the upstream saw
	}{
		{"open.example", "open.example", "/", nil, 200, ""},
		{"open.example", "open.example", "/admin", nil, 403, ""},
		{"open.example", "open.example", "/", one, 200, ""}, // it isn't asked for
		{"one.example", "one.example", "/", nil, 200, "X-Ssl-Client-Verify: NONE\n"},
		{"one.example", "one.example", "/admin", nil, 403, ""},
		{"one.example", "one.example", "/staff/x", nil, 403, ""},
		{"one.example", "one.example", "/staff", nil, 403, ""},
		{"one.example", "one.example", "/staff/x", one, 200, "X-Ssl-Client-Verify: SUCCESS\n"},
		{"one.example", "one.example", "//admin/../admin/x", nil, 403, ""},
		{"one.example", "ONE.example.:443", "/admin/", one, 200, "X-Ssl-Client-Fingerprint: FINGERPRINT\nX-Ssl-Client-I-Dn: CN=CA one\n" +
			`X-Ssl-Client-S-Dn: CN=J\C3\BCrgen\0D\0AX-Evil: 1,O=A\, B` + "\nX-Ssl-Client-Serial: ABCD\nX-Ssl-Client-Verify: SUCCESS\n"},
		{"one.example", "one.example", "/", two, 0, ""}, // of another authority
		{"two.example", "two.example", "/", nil, 0, ""},
		{"two.example", "two.example", "/", one, 0, ""},
		{"two.example", "two.example", "/admin", two, 200, "X-Ssl-Client-S-Dn: CN=two\n"},

		// The Host isn't what the connection was opened for.
		{"open.example", "two.example", "/", nil, 421, ""},
		{"open.example", "TWO.example.:443", "/", nil, 421, ""},
		{"one.example", "two.example", "/", one, 421, ""},
		{"one.example", "two.example", "/admin", one, 421, ""},
		{"open.example", "one.example", "/", nil, 421, ""},
		{"two.example", "open.example", "/", two, 421, ""},
		{"two.example", "unknown.example", "/", two, 421, ""}, // which has the rules of open
		{"open.example", "unknown.example", "/", nil, 200, ""},
		{"open.example", "unknown.example", "/admin", nil, 403, ""},
	} {
		for _, h2 := range []bool{false, true} {
			name := fmt.Sprintf("%s for %s%s, h2 %v, certificate %v", c.serverName, c.host, c.path, h2, c.cert != nil)
			if got := s.get(t, c.serverName, c.host, c.path, h2, c.cert); got != c.status {
				t.Errorf("%s: %d, want %d", name, got, c.status)
			}
			saw := s.rec.take()
			if (len(saw) == 1) != (c.status == 200) {
				t.Errorf("%s: the upstream saw %d requests", name, len(saw))
			}
			if len(saw) == 0 {
				continue
			}
			var fields string
			for line := range strings.Lines(saw[0].headers) {
				if strings.HasPrefix(line, "X-Ssl-") {
					fields += line
				}
				if strings.HasPrefix(line, "X-Evil") {
					t.Errorf("%s: the subject became a field", name)
				}
			}
			fingerprint := ""
			if c.cert != nil {
				fingerprint = fmt.Sprintf("%x", sha256.Sum256(c.cert.Certificate.Certificate[0]))
			}
			for want := range strings.Lines(c.fields) {
				want = strings.ReplaceAll(want, "FINGERPRINT", fingerprint)
				if !strings.Contains(fields, want) {
					t.Errorf("%s: the upstream saw\n%swant\n%s", name, fields, c.fields)
				}
			}
			if strings.Contains(fields, "forged") || c.fields == "" && fields != "" {
				t.Errorf("%s: the upstream saw\n%s", name, fields)
			}
		}
	}
}

// TestClientAuthOtherListeners: no other listener lets a request pass that a route wants
// a certificate for, and none passes forged fields on.
func TestClientAuthOtherListeners(t *testing.T) {
	s := newClientAuthSite(t)
	const forged = "Host: one.example\r\nX-SSL-Client-Verify: SUCCESS\r\nX-SSL-Client-S-DN: CN=x\r\nConnection: close\r\n\r\n"
	for _, path := range []string{"/admin", "/"} {
		request := "GET " + path + " HTTP/1.1\r\n" + forged
		over := map[string]string{"plain": sendTo(t, s.daemon.Addr("plain").String(), request)}
		response, err := client(t, s.daemon, "app").Send(t.Context(), []byte(request))
		if err != nil {
			t.Fatal(err)
		}
		over["app"] = string(response)
		want := map[string]string{"/admin": "HTTP/1.1 403 ", "/": "HTTP/1.1 200 "}[path]
		for name, got := range over {
			if !strings.HasPrefix(got, want) {
				t.Errorf("%s %s: %q", name, path, got)
			}
		}
	}
	for _, saw := range s.rec.take() {
		if strings.Contains(saw.headers, "Ssl-Client") {
			t.Errorf("the upstream saw %q", saw.headers)
		}
	}
}

// TestClientAuthAbsoluteForm: a target in absolute form doesn't hide the host.
func TestClientAuthAbsoluteForm(t *testing.T) {
	s := newClientAuthSite(t)
	conn, err := tls.Dial("tcp", s.daemon.Addr("web").String(), &tls.Config{ServerName: "open.example", InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(conn)
	for _, c := range []struct {
		target, host string
		status       int
	}{
		{"https://two.example/", "two.example", 421},
		{"/", "two.example", 421},
		{"/", "open.example", 200}, // the connection stays usable
		{"https://two.example/", "open.example", 400},
	} {
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", c.target, c.host)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%s: %v", c.target, err)
		}
		io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != c.status {
			t.Errorf("%s with Host %s: %d, want %d", c.target, c.host, resp.StatusCode, c.status)
		}
	}
}

// TestClientAuthResumption: a session that began with one name isn't resumed for
// another with rules of its own, nor without the certificate.
func TestClientAuthResumption(t *testing.T) {
	s := newClientAuthSite(t)
	cache := tls.NewLRUClientSessionCache(8)
	shake := func(serverName string, cert *testca.Pair) (resumed bool, err error) {
		c := &tls.Config{ServerName: serverName, InsecureSkipVerify: true, ClientSessionCache: sameName{cache}}
		if cert != nil {
			c.Certificates = []tls.Certificate{cert.Certificate}
		}
		conn, err := tls.Dial("tcp", s.daemon.Addr("web").String(), c)
		if err != nil {
			return false, err
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", serverName)
		_, err = io.ReadAll(conn) // the ticket comes in with the response
		return conn.ConnectionState().DidResume, err
	}
	for i, c := range []struct {
		name           string
		cert           *testca.Pair
		resumed, fails bool
	}{
		{"open.example", nil, false, false},
		{"open.example", nil, true, false},
		{"one.example", nil, false, false},
		{"one.example", &s.clients[0], false, false},
		{"two.example", nil, false, true},
		{"two.example", &s.clients[1], false, false},
		{"two.example", nil, false, true},
	} {
		resumed, err := shake(c.name, c.cert)
		if resumed != c.resumed || (err != nil) != c.fails {
			t.Errorf("handshake %d with %s: resumed %v, %v", i, c.name, resumed, err)
		}
	}
}

// sameName keeps the sessions of all names under one.
type sameName struct{ tls.ClientSessionCache }

func (c sameName) Get(string) (*tls.ClientSessionState, bool) { return c.ClientSessionCache.Get("x") }
func (c sameName) Put(_ string, s *tls.ClientSessionState)    { c.ClientSessionCache.Put("x", s) }

// TestCertificateErrors checks the places and the remedies of what only the files show.
func TestCertificateErrors(t *testing.T) {
	ca, expired := testca.New(t, "servers", time.Hour), testca.New(t, "old", -time.Hour)
	a, b := ca.Server(1, "a.example", "b.example"), ca.Server(2, "b.example")
	pair := func(cert, key testca.Pair, more string) string {
		return "{cert: " + cert.Cert + ", key: " + key.Key + more + "}"
	}
	for _, c := range []struct{ tls, at, want string }{
		{pair(a, b, ""), "3:23: listeners.web.https.tls: ", "doesn't belong to the certificate"},
		{"{certificates: [" + pair(a, a, "") + ", " + pair(b, b, "") + "]}", "listeners.web.https.tls.certificates[1]: ", "b.example has a certificate already"},
		{"{certificates: [" + pair(a, a, ", hosts: [a.example]") + ", " + pair(b, b, "") + "]}", "", ""},
		{pair(a, a, ", client_auth: {ca: "+expired.File+"}"), "listeners.web.https.tls: ", "expired on "},
		{pair(a, a, ", client_auth: {ca: "+a.Key+"}"), "listeners.web.https.tls: ", "has no certificates in PEM"},
	} {
		cfg := load(t, `listeners:
  web: {https: {address: "127.0.0.1:0",
                 tls: `+c.tls+`}}
backends: {files: {files: {root: DIR}}}
routes: [{backend: files}]
`)
		out, err := os.Create(filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		logs, err := NewLogs(cfg.Log, out)
		if err != nil {
			t.Fatal(err)
		}
		_, err = New(cfg, logs)
		logs.Close()
		out.Close()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.at)) {
			t.Errorf("%s: %v; want %s%s", c.tls, err, c.at, c.want)
		}
	}
}

// TestClientAuthReachesOpenConnections: connections on which no certificate was asked
// for end after their next response, once one is.
func TestClientAuthReachesOpenConnections(t *testing.T) {
	rec := newRecorder(t, nil)
	servers, authority := testca.New(t, "servers", time.Hour), testca.New(t, "CA", time.Hour)
	cert, storage := servers.Server(1, "one.example"), t.TempDir()
	text := func(clientAuth string) string {
		return `
storage: ` + storage + `
listeners:
  web: {https: {address: "127.0.0.1:0", hosts: [one.example], tls: {cert: ` + cert.Cert + `, key: ` + cert.Key + clientAuth + `}}}
backends:
  api: {http: {upstreams: [{url: ` + rec.URL + `}]}}
routes:
  - backend: api
`
	}
	p, _ := start(t, load(t, text("")))
	conn, err := tls.Dial("tcp", p.Addr("web").String(), &tls.Config{ServerName: "one.example", InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	br := bufio.NewReader(conn)
	ask := func() (*http.Response, error) {
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: one.example\r\n\r\n")
		resp, err := http.ReadResponse(br, nil)
		if err == nil {
			io.Copy(io.Discard, resp.Body)
		}
		return resp, err
	}
	if resp, err := ask(); err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	if err := p.Reload(t.Context(), load(t, text(", client_auth: {ca: "+authority.File+"}"))); err != nil {
		t.Fatal(err)
	}
	ask()
	if resp, err := ask(); err == nil {
		t.Errorf("the second request after the reload gets %s", resp.Status)
	}
}
