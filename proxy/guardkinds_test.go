package proxy

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mkd/internal/testserver/testca"
)

// tokenIssuer signs tokens for guards with jwt.
type tokenIssuer struct {
	keyFile string
	key     ed25519.PrivateKey
}

func newTokenIssuer(t *testing.T) *tokenIssuer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "issuer.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tokenIssuer{file, private}
}

// token returns a token of a subject, which is text as JSON has it.
func (i *tokenIssuer) token(subject string) string {
	enc := base64.RawURLEncoding
	signed := enc.EncodeToString([]byte(`{"alg":"EdDSA"}`)) + "." +
		enc.EncodeToString([]byte(fmt.Sprintf(`{"iss":"id","aud":"api","exp":%d,"sub":"%s"}`, time.Now().Add(time.Hour).Unix(), subject)))
	return signed + "." + enc.EncodeToString(ed25519.Sign(i.key, []byte(signed)))
}

// guard is the section of a guard.
func (i *tokenIssuer) guard() string {
	return "{jwt: {key: " + i.keyFile + ", issuer: id, audience: api}}"
}

// TestGuardsOfMixedKinds has guards of different kinds inside of each other. A request
// passes only with the proofs for all of them, through each listener and however its path
// is written.
func TestGuardsOfMixedKinds(t *testing.T) {
	issuer := newTokenIssuer(t)
	const login, traded = "Cookie: session=ok\r\n", "Cookie: session=token\r\n"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Cookie") {
		case "session=ok":
			w.Header().Set("Remote-User", "ann")
		case "session=token":
			w.Header().Set("Authorization", "Bearer "+issuer.token("changed"))
		default:
			w.WriteHeader(401)
		}
	}))
	defer server.Close()
	rec := newRecorder(t, nil)
	basic, jwt := "{basic: {users_file: "+usersFile(t, "ann")+"}}", issuer.guard()
	forward, changed := "{forward: {url: '"+server.URL+"', copy: [Remote-User], timeout: 1m}}", "{forward: {url: '"+server.URL+"', copy: [Authorization], timeout: 1m}}"
	var routes strings.Builder
	for _, r := range []string{
		"/bf/*]}, auth: " + basic + ", routes: [{auth: " + forward + ", backend: api}]}",
		"/fb/*]}, auth: " + forward + ", routes: [{auth: " + basic + ", backend: api}]}",
		"/jf/*]}, auth: " + jwt + ", routes: [{auth: " + forward + ", backend: api}]}",
		"/cj/*]}, auth: " + changed + ", routes: [{auth: " + jwt + ", backend: api}]}",
		"/bcj/*]}, auth: " + basic + ", routes: [{auth: " + changed + ", routes: [{auth: " + jwt + ", backend: api}]}]}",
		"/bc/*]}, auth: " + basic + ", routes: [{auth: " + changed + ", backend: api}]}",
		"/near/*]}, auth: " + forward + ", routes: [{match: {from: [127.0.0.0/8]}, backend: api}]}",
		"/far/*]}, auth: " + forward + ", routes: [{match: {from: [192.0.2.0/24]}, backend: api}]}",
		"/cert/*]}, auth: " + basic + ", routes: [{client_certificate: required, backend: api}]}",
		"/outer/*]}, client_certificate: required, routes: [{auth: " + basic + ", backend: api}]}",
		"/deny/*]}, auth: " + basic + ", routes: [{match: {paths: [/deny/x/*]}, respond: {status: 404}}, {backend: api}]}",
		"/gone/*]}, respond: {status: 404}}",
	} {
		routes.WriteString("  - {match: {paths: [" + r + "\n")
	}
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
  secure: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true, client_auth: {ca: `+testca.New(t, "CA", time.Hour).File+`, mode: verify_if_given}}, http3: true}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
`+routes.String()+"  - backend: api\n"))
	password, token := basicAs("ann", "ANN"), "Authorization: Bearer "+issuer.token("ann")+"\r\n"
	for row, c := range []struct {
		folder, fields string
		status         int
		saw            string // by the upstream, if it passes; | between fields, and ! before one that it doesn't get
	}{
		{"bf", "", 401, ""}, {"bf", password, 401, ""}, {"bf", login, 401, ""}, {"bf", token + login, 401, ""},
		{"bf", password + login + "Remote-User: root\r\n", 200, "Remote-User: ann"},
		{"fb", "", 401, ""}, {"fb", password, 401, ""}, {"fb", login, 401, ""}, {"fb", login + token, 401, ""},
		{"fb", password + login, 200, "Remote-User: ann"},
		{"jf", "", 401, ""}, {"jf", token, 401, ""}, {"jf", login, 401, ""}, {"jf", login + password, 401, ""},
		{"jf", token + login, 200, "Remote-User: ann|Authorization: Bearer"},
		{"cj", token, 401, ""}, {"cj", login + token, 401, ""}, // the client's own token isn't the server's
		{"cj", traded, 200, "Authorization: Bearer"},
		{"cj", traded + password, 200, "Authorization: Bearer"},
		{"bcj", traded, 401, ""}, {"bcj", password + login, 401, ""}, {"bcj", token + traded, 401, ""},
		{"bcj", password + traded, 200, "Authorization: Bearer"},
		{"bc", password, 401, ""},
		{"bc", password + login, 200, "!Authorization: "},
		{"near", "", 401, ""}, {"near", login, 200, "Remote-User: ann"},
		{"far", "", 401, ""}, {"far", login, 404, ""},
		{"cert", "", 403, ""}, {"cert", password, 403, ""},
		{"outer", "", 403, ""}, {"outer", password, 403, ""},
		{"deny/x", "", 401, ""}, {"deny/x", password, 404, ""}, {"deny/y", password, 200, "Authorization: Basic"}, {"deny/y", "", 401, ""},
		{"gone", password, 404, ""},
	} {
		name := strings.TrimSuffix(c.folder, "/x")
		for i, path := range []string{"/" + c.folder, "/" + c.folder + "/a.php/b", "//%" + fmt.Sprintf("%x", name[0]) + c.folder[1:], "/x/../" + c.folder, "/" + strings.ToUpper(name) + c.folder[len(name):], "/" + name + ";v" + c.folder[len(name):], "/%252e/" + c.folder} {
			if i > 0 && (row+i)%3 > 0 {
				continue // two or three of them in each row
			}
			for _, way := range allWays {
				response := way.send(t, p, "GET "+path+" HTTP/1.1\r\nHost: example.org\r\n"+c.fields+"\r\n")
				saw := rec.take()
				if response == nil || status(t, response) != c.status {
					t.Errorf("%s with %q over %s: %.200q, want %d", path, c.fields, way.name, response, c.status)
				}
				if c.status != 200 {
					if len(saw) > 0 {
						t.Errorf("%s with %q over %s reached the upstream: %q", path, c.fields, way.name, saw)
					}
					continue
				}
				for want := range strings.SplitSeq(c.saw, "|") {
					field, not := strings.CutPrefix(want, "!")
					if len(saw) != 1 || strings.Contains(saw[0].headers, field) == not || strings.Contains(saw[0].headers, "root") {
						t.Errorf("%s with %q over %s: the upstream saw %q, want %s", path, c.fields, way.name, saw, want)
					}
				}
			}
		}
	}
}

// TestUserIsOneValue: the subject of a token can't add a field, nor a line, to
// what a backend or the client gets.
func TestUserIsOneValue(t *testing.T) {
	issuer := newTokenIssuer(t)
	rec := newRecorder(t, nil)
	p, _ := everyListener(t, rec.URL, `
  - match: {paths: [/text]}
    auth: `+issuer.guard()+`
    headers: {response: {set: {X-Was: "{user}"}}}
    respond: {body: "{user}", content_type: text/javascript}
  - auth: `+issuer.guard()+`
    headers: {request: {set: {X-User: "{user}"}}, response: {set: {X-Was: "{user}"}}}
    backend: api
`)
	for _, subject := range []string{`ann\r\nX-Admin: 1`, `ann\nX-Admin: 1`, `ann\u0000X-Admin: 1`, `a'b\r\n\r\n<p>`, `\u007f\u0001ann`} {
		for _, path := range []string{"/", "/text"} {
			for _, way := range allWays {
				response := way.send(t, p, "GET "+path+" HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "+issuer.token(subject)+"\r\n\r\n")
				saw := rec.take()
				if response == nil || status(t, response) != 401 || len(saw) > 0 {
					t.Errorf("%q over %s: %q, and the upstream saw %q", subject, way.name, response, saw)
				}
			}
		}
	}
	for subject, script := range map[string]string{"Jörg <a@b>": `Jörg \u003ca@b\u003e`, "'`${x}": `\u0027\u0060\u0024{x}`} {
		response := string(sendWeb(t, p, "GET /text HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "+issuer.token(subject)+"\r\n\r\n"))
		if !strings.Contains(response, "X-Was: "+subject+"\r\n") || !strings.HasSuffix(response, "\r\n\r\n"+script) {
			t.Errorf("%q: %q", subject, response)
		}
	}
}

// TestPasswordAndCertificate has routes that ask for a client's certificate and a password,
// in either order, by each version of HTTP.
func TestPasswordAndCertificate(t *testing.T) {
	authority, other := testca.New(t, "CA", time.Hour), testca.New(t, "another CA", time.Hour)
	good, bad := authority.Client(1, pkix.Name{CommonName: "ann"}), other.Client(2, pkix.Name{CommonName: "ann"})
	basic := "auth: {basic: {users_file: " + usersFile(t, "ann") + "}}"
	rec := newRecorder(t, nil)
	p, _ := start(t, load(t, `
listeners:
  secure: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true, client_auth: {ca: `+authority.File+`, mode: verify_if_given}}, http3: true}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - {match: {paths: [/inside/*]}, `+basic+`, routes: [{client_certificate: required, backend: api}]}
  - {match: {paths: [/outside/*]}, client_certificate: required, routes: [{`+basic+`, backend: api}]}
`))
	address := p.Addr("secure").String()
	clients := map[string]func(*testca.Pair) *http.Client{"HTTP/3": func(cert *testca.Pair) *http.Client { return http3Client(t, address, "", cert) }}
	for _, two := range []bool{false, true} {
		clients[map[bool]string{false: "HTTP/1.1", true: "HTTP/2"}[two]] = func(cert *testca.Pair) *http.Client {
			tr := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"},
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, "tcp", address)
				}}
			tr.Protocols.SetHTTP1(!two)
			tr.Protocols.SetHTTP2(two)
			if cert != nil {
				tr.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert.Certificate, nil }
			}
			t.Cleanup(tr.CloseIdleConnections)
			return &http.Client{Transport: tr, Timeout: 60 * time.Second}
		}
	}
	for version, client := range clients {
		for _, path := range []string{"/inside/x", "/outside", "/Inside;a/x", "//outside/x"} {
			for name, c := range map[string]struct {
				cert     *testca.Pair
				password string
				status   int // 0: the handshake fails, or the client sends no such certificate
			}{
				"nothing":             {nil, "", 403},
				"a password":          {nil, "ANN", 403},
				"a certificate":       {&good, "", 401},
				"both":                {&good, "ANN", 200},
				"another authority's": {&bad, "ANN", 0},
				"a wrong password":    {&good, "x", 401},
			} {
				if c.password == "x" && path != "/outside" {
					continue // three in all: more would be slowed down
				}
				r, err := http.NewRequest("GET", "https://localhost"+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				if c.password != "" {
					r.SetBasicAuth("ann", c.password)
				}
				got := 0
				if resp, err := client(c.cert).Do(r); err == nil {
					got = resp.StatusCode
					resp.Body.Close()
				}
				if c.status == 0 && got == 403 {
					got = 0
				}
				if saw := rec.take(); got != c.status || len(saw) > 0 != (c.status == 200) {
					t.Errorf("%s with %s by %s: %d, want %d; the upstream saw %q", path, name, version, got, c.status, saw)
				}
			}
		}
	}
}

// TestGuardedMessage: a script without on_http gets HTTP requests as messages. What a guard
// or the route removes from a request, or changes, is so through each listener: with Megaki
// the script once got what the client had sent, a forged Remote-User among it.
func TestGuardedMessage(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Remote-User", "ann") }))
	defer server.Close()
	script := onHTTP(t, `$ARCANGELO_USERSPACE = ['on_handle' => function () {
		$got = strtolower(arca::$request);
		return "HTTP/1.1 200 OK\r\nContent-Length: " . strlen($got) . "\r\n\r\n" . $got;
	}];`)
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  site: {php: {script: `+script+`, workers: {min: 1, max: 1}}}
routes:
  - {match: {paths: [/guarded]}, auth: {forward: {url: '`+server.URL+`', copy: [Remote-User]}}, backend: site}
  - {match: {paths: [/changed/*]}, strip_prefix: /changed, headers: {request: {set: {Remote-User: ann}}}, backend: site}
  - backend: site
`))
	const fields = " HTTP/1.1\r\nHost: x\r\nremote-user: evil\r\nContent-Length: 4\r\n\r\nbody"
	for target, want := range map[string]string{"/guarded": "post /guarded ", "/changed/a": "post /a "} {
		for _, way := range ways {
			response := string(way.send(t, p, "POST "+target+fields))
			if strings.Contains(response, "evil") || !strings.Contains(response, "remote-user: ann\r\n") || !strings.Contains(response, "\r\n\r\n"+want) || !strings.HasSuffix(response, "\r\n\r\nbody") {
				t.Errorf("%s over %s: %q", target, way.name, response)
			}
		}
	}
	if response, err := client(t, p, "app").Send(t.Context(), []byte("POST /"+fields)); err != nil || !strings.HasSuffix(string(response), "post / "+strings.ToLower(fields[1:])) {
		t.Errorf("of a route that changes nothing: %q, %v", response, err)
	}
}
