package config

import (
	"errors"
	"slices"
	"strings"
	"time"

	"mkd/metavar"
)

// Auth lets only clients pass that prove who they are. It has exactly one of the keys;
// to ask for two proofs, put a route inside of another. Clients that fail are slowed
// down by their address: after 10 failures one attempt every 5 seconds is looked at,
// and others get 429. Good tokens pass whatever else their address has sent.
type Auth struct {
	// A name and a password.
	Basic *BasicAuth `yaml:"basic,kind" example:"{users_file: VALUE}|users"`

	// A server that is asked about each request, as oauth2-proxy or Authelia.
	Forward *ForwardAuth `yaml:"forward,kind" example:"{url: VALUE}|http://127.0.0.1:4180/oauth2/auth"`

	// A signed token in the field Authorization (RFC 7519).
	JWT *JWTAuth `yaml:"jwt,kind" example:"{jwks: VALUE, issuer: \"https://id.example.org\", audience: api}|https://id.example.org/keys"`
}

// BasicAuth asks for a name and a password (RFC 7617). The backend sees them too, in
// Authorization.
type BasicAuth struct {
	// The file with the users, as `htpasswd -B` writes it: lines of a name, a colon and
	// a hash by bcrypt or Argon2id. It is read anew when it changes.
	UsersFile string `yaml:"users_file,required" path:"secret"`

	// What browsers show as the name of what is protected.
	Realm string `yaml:"realm" default:"restricted" format:"realm"`
}

// ForwardAuth asks a server about each request, by a GET with the header of the request,
// without its body. The fields `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and
// `-For` describe it. A status of 2xx lets the request pass; any other response,
// redirects included, goes to the client. If the server can't be reached, or takes too
// long, the client gets 503.
type ForwardAuth struct {
	// Where the server is. Browsers get to a login page only if its response at this address
	// redirects them there.
	URL string `yaml:"url,required" format:"url"`

	// Fields of its response that the backend gets. The client's own fields of these
	// names are always removed.
	Copy []string `yaml:"copy" format:"removed-field"`

	// How long the server may take.
	Timeout time.Duration `yaml:"timeout" default:"5s" range:"1ms..1m"`
}

// JWTAuth takes tokens that are signed with RSA, ECDSA or Ed25519 (RS256 to RS512, PS256
// to PS512, ES256 to ES512, EdDSA), and have the claims `exp`, `iss` and `aud`.
type JWTAuth struct {
	// The address of the issuer's keys, a JWK Set. They are loaded when the first token
	// comes, anew after 15 minutes, and when a token names a key that isn't among them.
	JWKS string `yaml:"jwks" default:"" format:"url"`

	// A file with the issuer's public key in PEM, or a JWK Set, in place of `jwks`.
	Key string `yaml:"key" default:"" path:"file"`

	// The issuer, which the claim `iss` must be.
	Issuer string `yaml:"issuer,required"`

	// The audience, which must be in the claim `aud`.
	Audience string `yaml:"audience,required"`

	// More claims, and the value that each must have, or have in its list.
	Claims map[string]string `yaml:"claims" format:"claim"`

	// By how much the clocks may differ.
	Leeway time.Duration `yaml:"leeway" default:"30s" range:"0..10m"`
}

func checkRealm(s string) error {
	if strings.ContainsAny(s, `"\`) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return errors.New(`want plain letters, without " and \`)
	}
	return nil
}

// checkAuth checks the guards of routes. guarded is whether a route around them has one, and
// proof is the kind of the nearest that reads the field Authorization of requests.
func (w *walker) checkAuth(routes []Route, guarded bool, proof string) {
	for i := range routes {
		r := &routes[i]
		proof := proof
		if a := r.Auth; a != nil && w.sound(&r.Auth) {
			w.checkGuard(a)
			proof = w.checkProof(r, proof)
		}
		within := guarded || r.Auth != nil
		if within && w.at(&r.Match) != nil && w.sound(&r.Match.Payload, &r.Raw) && r.takesRaw() {
			where := any(&r.Match.Payload)
			if r.Raw != nil {
				where = &r.Raw
			}
			w.wrong(where, "a route with auth takes no raw messages, which can't prove who sent them; remove this, or give raw messages a route of their own")
		}
		w.checkAuth(r.Routes, within, proof)
	}
}

func (r *Route) takesRaw() bool {
	return r.payload() == PayloadRaw || r.Raw != nil
}

// checkProof checks that a request can have the proofs for a guard and for the one around
// it. A field Authorization has either a password or a token. The result is the kind of
// guard that those inside of it have to get along with.
func (w *walker) checkProof(r *Route, around string) string {
	kind, key := "", any(nil)
	switch a := r.Auth; {
	case a.Basic != nil:
		kind, key = "basic", &a.Basic
	case a.JWT != nil:
		kind, key = "jwt", &a.JWT
	case a.Forward != nil && slices.ContainsFunc(a.Forward.Copy, func(s string) bool { return strings.EqualFold(s, "Authorization") }):
		return "" // the field is the server's from here on
	default:
		return around
	}
	if around != "" && around != kind {
		w.wrong(key, "no request could pass: auth.%s of the route around it needs another field Authorization; keep one of them, or put one on a route beside the other", around)
	}
	return kind
}

func (w *walker) checkGuard(a *Auth) {
	if f := a.Forward; f != nil && w.sound(&f.Copy) {
		for i, name := range f.Copy {
			if metavar.Ambiguous(name) {
				w.wrong(&f.Copy[i], "a field with _ or . in its name isn't passed on; write - instead")
			} else if slices.ContainsFunc(f.Copy[:i], func(s string) bool { return strings.EqualFold(s, name) }) {
				w.wrong(&f.Copy[i], "%s is a duplicate; take one out", name)
			}
		}
	}
	j := a.JWT
	if j == nil || !w.sound(&j.JWKS, &j.Key) {
		return
	}
	switch {
	case j.JWKS == "" && j.Key == "":
		w.wrong(&a.JWT, "where are the keys of the issuer? Give jwks, or key")
	case j.JWKS != "" && j.Key != "":
		w.wrong(&j.Key, "it has both jwks and key; keep one of them")
	}
}
