package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"mkd/config"
	"mkd/proxy/request"
)

func pemOf(t *testing.T, public any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// sign returns a token of claims.
func sign(t *testing.T, alg jwa.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	h := jws.NewHeaders()
	if kid != "" {
		h.Set("kid", kid)
	}
	token, err := jws.Sign(payload, jws.WithKey(alg, key, jws.WithProtectedHeaders(h)))
	if err != nil {
		t.Fatal(err)
	}
	return string(token)
}

// claimsBut returns good claims with others in place of some; nil removes one.
func claimsBut(others map[string]any) map[string]any {
	c := map[string]any{"iss": "https://id.example.org", "aud": []string{"other", "api"}, "sub": "ann", "groups": []string{"staff", "admins"}, "level": 3,
		"exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range others {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
	return c
}

func tokenOf(header, payload string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(header)) + "." + enc([]byte(payload)) + "."
}

func TestJWT(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	public := pemOf(t, key.Public())
	if err := os.WriteFile(file, public, 0o600); err != nil {
		t.Fatal(err)
	}
	s := testState(t)
	g, err := New(&config.Auth{JWT: &config.JWTAuth{Key: file, Issuer: "https://id.example.org", Audience: "api", Claims: map[string]string{"groups": "admins", "level": "3"}, Leeway: 30 * time.Second}},
		s, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	good := sign(t, jwa.RS256(), key, "", claimsBut(nil))
	payload, err := json.Marshal(claimsBut(nil))
	if err != nil {
		t.Fatal(err)
	}
	but := func(name string, value any) string {
		return sign(t, jwa.RS256(), key, "", claimsBut(map[string]any{name: value}))
	}
	with := func(header string, value any) string {
		h := jws.NewHeaders()
		h.Set(header, value)
		h.Set("x", "1")
		payload, err := json.Marshal(claimsBut(nil))
		if err != nil {
			t.Fatal(err)
		}
		token, err := jws.Sign(payload, jws.WithKey(jwa.RS256(), key, jws.WithProtectedHeaders(h)))
		if err != nil {
			t.Fatal(err)
		}
		return string(token)
	}
	flipped := []byte(good)
	flipped[len(flipped)-20] ^= 1
	now := time.Now().Unix()
	for i, c := range []struct {
		name, authorization string
		status              int
		challenge           string
	}{
		{"good", "Bearer " + good, 200, ""},
		{"by PS512", "bearer " + sign(t, jwa.PS512(), key, "", claimsBut(nil)), 200, ""},
		{"after two spaces", "Bearer  " + good, 200, ""},
		{"within the leeway", "Bearer " + but("exp", now-10), 200, ""},
		{"one audience", "Bearer " + but("aud", "api"), 200, ""},
		{"nothing", "", 401, challenge},
		{"basic", basicOf("a", "b"), 401, badRequest},
		{"no token", "Bearer", 401, badToken},
		{"long", "Bearer " + strings.Repeat("a", maxCredentials), 401, badRequest},
		{"expired", "Bearer " + but("exp", now-100), 401, badToken},
		{"no exp", "Bearer " + but("exp", nil), 401, badToken},
		{"not yet", "Bearer " + but("nbf", now+100), 401, badToken},
		{"another issuer", "Bearer " + but("iss", "https://id.example.org/"), 401, badToken},
		{"no issuer", "Bearer " + but("iss", nil), 401, badToken},
		{"another audience", "Bearer " + but("aud", "apis"), 401, badToken},
		{"no audience", "Bearer " + but("aud", nil), 401, badToken},
		{"another group", "Bearer " + but("groups", "staff"), 403, noScope},
		{"another number", "Bearer " + but("level", 4), 403, noScope},
		{"a text for a number", "Bearer " + but("level", "3"), 200, ""},
		{"a list for a number", "Bearer " + but("level", []any{4, 3}), 200, ""},
		{"no group", "Bearer " + but("groups", nil), 403, noScope},
		{"a group in a group", "Bearer " + but("groups", []any{[]any{"admins"}}), 403, noScope},
		{"a line end in the subject", "Bearer " + but("sub", "ann\nX-Admin: 1"), 401, badToken},
		{"a field that must be understood", "Bearer " + with("crit", []string{"x"}), 401, badToken},
		{"a field that need not be", "Bearer " + with("y", "1"), 200, ""},
		{"flipped", "Bearer " + string(flipped), 401, badToken},
		{"another key", "Bearer " + sign(t, jwa.RS256(), other, "", claimsBut(nil)), 401, badToken},
		{"no signature", "Bearer " + good[:strings.LastIndexByte(good, '.')+1], 401, badToken},
		{"alg none", "Bearer " + tokenOf(`{"alg":"none"}`, string(payload)), 401, badToken},
		{"the public key as a secret", "Bearer " + sign(t, jwa.HS256(), public, "", claimsBut(nil)), 401, badToken},
		{"crit", "Bearer " + tokenOf(`{"alg":"RS256","crit":["x"],"x":1}`, string(payload)) + "AAAA", 401, badToken},
	} {
		r := from("192.0.2."+string(rune('1'+i%9))+string(rune('0'+i/9)), c.authorization)
		passed, err := g.Check(nil, r)
		e, _ := err.(*request.Error)
		if request.Status(err) != c.status || passed != (c.status == 200) || e != nil && e.Challenge != c.challenge {
			t.Errorf("%s: %v, %v", c.name, passed, err)
		}
		if passed && r.User != "ann" {
			t.Errorf("%s: the user is %q", c.name, r.User)
		}
	}
	r := from("192.0.2.199", "Bearer "+good)
	r.Header.Add("Authorization", "Bearer "+good)
	if passed, err := g.Check(nil, r); passed || request.Status(err) != 401 {
		t.Errorf("two fields: %v, %v", passed, err)
	}
	for i := range 30 { // that are no failures
		if _, err := g.Check(nil, from("192.0.2.200", "Bearer "+but("exp", now-100))); request.Status(err) != 401 {
			t.Fatalf("expired token %d: %v", i, err)
		}
	}
}

// TestJWKS: keys are loaded when they are needed, and anew when a token names another.
func TestJWKS(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set := func(keys ...crypto.Signer) string {
		s := jwk.NewSet()
		for _, k := range keys {
			key, err := jwk.Import(k.Public())
			if err != nil {
				t.Fatal(err)
			}
			name := "ec"
			if _, ok := k.(ed25519.PrivateKey); ok {
				name = "ed"
			}
			key.Set("kid", name)
			s.AddKey(key)
		}
		secret, err := jwk.Import([]byte("a secret that everybody knows"))
		if err != nil {
			t.Fatal(err)
		}
		secret.Set("kid", "hs")
		s.AddKey(secret)
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var served atomic.Value
	var asked atomic.Int64
	served.Store("")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if served.Load() == "" {
			w.WriteHeader(500)
		}
		io.WriteString(w, served.Load().(string))
	}))
	defer server.Close()
	g, err := newJWT(&config.JWTAuth{JWKS: server.URL, Issuer: "https://id.example.org", Audience: "api"}, testState(t))
	if err != nil {
		t.Fatal(err)
	}
	keys := g.keys.(*fetchedKeys)
	check := func(alg jwa.SignatureAlgorithm, key any, kid string) error {
		_, err := g.Check(nil, from("192.0.2.1", "Bearer "+sign(t, alg, key, kid, claimsBut(nil))))
		return err
	}
	if err := check(jwa.ES256(), ec, "ec"); request.Status(err) != 503 {
		t.Errorf("without keys: %v", err)
	}
	served.Store(set(ec))
	if check(jwa.ES256(), ec, "ec"); asked.Load() != 1 {
		t.Error("a second attempt is made at once")
	}
	keys.tried = time.Time{}
	if err := check(jwa.ES256(), ec, "ec"); err != nil {
		t.Errorf("with its key: %v", err)
	}
	if err := check(jwa.HS256(), []byte("a secret that everybody knows"), "hs"); request.Status(err) != 401 {
		t.Errorf("by a secret of the set: %v", err)
	}
	served.Store(set(ec, ed))
	if err := check(jwa.EdDSA(), ed, "ed"); request.Status(err) != 401 || asked.Load() != 2 {
		t.Errorf("a key that isn't known: %v; the keys were loaded %d times", err, asked.Load())
	}
	keys.tried = time.Time{}
	if err := check(jwa.EdDSA(), ed, "ed"); err != nil || asked.Load() != 3 {
		t.Errorf("a new key: %v; the keys were loaded %d times", err, asked.Load())
	}
	served.Store("{}")
	keys.tried, keys.loaded = time.Time{}, time.Time{}
	if err := check(jwa.ES256(), ec, "ec"); err != nil {
		t.Errorf("while keys are loaded anew: %v", err)
	}
	if _, err := keys.get(context.Background(), ""); err != nil {
		t.Error(err)
	}
}

// TestKeysOfOtherKinds: a set may have keys that aren't known, beside those that are.
func TestKeysOfOtherKinds(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jwk.Import(ec.Public())
	if err != nil {
		t.Fatal(err)
	}
	known, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	const others = `{"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA"},{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}`
	keys, err := parseKeys([]byte(`{"keys":[` + others + "," + string(known) + "]}"))
	if err != nil || keys.Len() != 1 {
		t.Errorf("%v, %v", keys, err)
	}
	for _, none := range []string{`{"keys":[` + others + "]}", `{"keys":[]}`, `{"keys":3}`, "{}", "x"} {
		if _, err := parseKeys([]byte(none)); err == nil {
			t.Errorf("%s has keys", none)
		}
	}
}

// TestWrongTokens: wrong signatures are refused more and more, and good tokens of the
// same address pass.
func TestWrongTokens(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jwk.Import(ec.Public())
	if err != nil {
		t.Fatal(err)
	}
	set := jwk.NewSet()
	set.AddKey(key)
	g := &bearer{state: testState(t), keys: fixedKeys{set}, issuer: "https://id.example.org", audience: "api"}
	good := sign(t, jwa.ES256(), ec, "", claimsBut(nil))
	wrong := good[:strings.LastIndexByte(good, '.')+1] + strings.Repeat("A", 86)
	for i := range maxFailures + 5 {
		want := 401
		if i >= maxFailures {
			want = 429
		}
		if _, err := g.Check(nil, from("192.0.2.1", "Bearer "+wrong)); request.Status(err) != want {
			t.Errorf("wrong token %d: %v, want %d", i, err, want)
		}
		if _, err := g.Check(nil, from("192.0.2.1", "Bearer "+good)); err != nil {
			t.Errorf("after wrong token %d a good one gets %v", i, err)
		}
	}
}

// TestKeysOutliveAConfiguration: a reload loads no keys that there are.
func TestKeysOutliveAConfiguration(t *testing.T) {
	s := testState(t)
	one, two := s.keysAt("https://a.example"), s.keysAt("https://b.example")
	if one == two || s.keysAt("https://a.example") != one {
		t.Error("keys are mixed up, or loaded anew")
	}
}

// TestSecrets: tokens that are signed with a secret aren't taken, whatever the keys are, and
// keys for encryption sign none.
func TestSecrets(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const text = "a secret that everybody knows"
	set := jwk.NewSet()
	for name, raw := range map[string]any{"hs": []byte(text), "sig": ec.Public(), "enc": ec.Public()} {
		key, err := jwk.Import(raw)
		if err != nil {
			t.Fatal(err)
		}
		key.Set("kid", name)
		if name != "hs" {
			key.Set("use", name)
		}
		set.AddKey(key)
	}
	g := &bearer{state: testState(t), keys: fixedKeys{set}, issuer: "https://id.example.org", audience: "api"}
	if _, err := g.Check(nil, from("192.0.2.1", "Bearer "+sign(t, jwa.HS256(), []byte(text), "hs", claimsBut(nil)))); request.Status(err) != 401 {
		t.Errorf("by a secret: %v", err)
	}
	keys, err := publicKeys(set)
	if err != nil {
		t.Fatal(err)
	}
	if _, found := keys.LookupKeyID("sig"); !found || keys.Len() != 1 {
		t.Errorf("there are %d keys, the one for signatures: %v", keys.Len(), found)
	}
}

// TestNoKeys: a guard without its keys isn't made.
func TestNoKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key.pem")
	config := &config.Auth{JWT: &config.JWTAuth{Key: file}}
	at := func(key string) string { return "auth." + key }
	if _, err := New(config, testState(t), at); err == nil || !strings.HasPrefix(err.Error(), "auth.jwt.key: ") {
		t.Errorf("without the file: %v", err)
	}
	if err := os.WriteFile(file, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(config, testState(t), at); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("without a key in it: %v", err)
	}
}
