package proxy

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
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
	const login, exchange = "Cookie: session=ok\r\n", "Cookie: session=token\r\n"
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
		{"cj", exchange, 200, "Authorization: Bearer"},
		{"cj", exchange + password, 200, "Authorization: Bearer"},
		{"bcj", exchange, 401, ""}, {"bcj", password + login, 401, ""}, {"bcj", token + exchange, 401, ""},
		{"bcj", password + exchange, 200, "Authorization: Bearer"},
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
