package auth

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"mkd/config"
	"mkd/proxy/request"
)

// algorithms are those of tokens that are taken. None of them has a secret that the
// issuer and mkd share, nor none at all.
var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// bearer takes tokens that an issuer has signed (RFC 7519, RFC 6750).
type bearer struct {
	state    *State
	keys     keySource
	issuer   string
	audience string
	claims   map[string]string
	leeway   time.Duration
}

func newJWT(c *config.JWTAuth, s *State) (*bearer, error) {
	b := &bearer{state: s, issuer: c.Issuer, audience: c.Audience, claims: c.Claims, leeway: c.Leeway}
	if c.Key == "" {
		b.keys = s.keysAt(c.JWKS)
		return b, nil
	}
	keys, err := readKeys(c.Key)
	b.keys = fixedKeys{keys}
	return b, err
}

const (
	challenge   = "Bearer"
	badToken    = `Bearer error="invalid_token"`
	badRequest  = `Bearer error="invalid_request"`
	noScope     = `Bearer error="insufficient_scope"`
	wrongBearer = "the token isn't valid: "
)

// Strip implements Guard.
func (b *bearer) Strip(http.Header) {}

// Check implements Guard.
func (b *bearer) Check(_ request.Response, r *request.Request) (bool, error) {
	given := r.Header["Authorization"]
	if len(given) == 0 {
		return false, unauthorized(challenge, "no token")
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	token = strings.TrimLeft(token, " ") // of which there may be several (RFC 9110, section 11.4)
	if len(given) > 1 || len(given[0]) > maxCredentials || !strings.EqualFold(scheme, "Bearer") {
		return false, unauthorized(badRequest, "the field Authorization has no token")
	}
	head, ok := readHead(token)
	if !ok || head.Crit != nil || !slices.Contains(algorithms, head.Alg) {
		return false, unauthorized(badToken, wrongBearer+"its header isn't one that is taken")
	}
	keys, err := b.keys.get(r.Context(), head.Kid)
	if err != nil {
		return false, request.Errorf(request.Down, "loading the keys of the issuer: %w", err)
	}
	t, err := jwt.Parse([]byte(token), jwt.WithValidate(false), jwt.WithKeySet(keys, jws.WithRequireKid(false), jws.WithInferAlgorithmFromKey(true)))
	if err != nil {
		// Nobody guesses a signature, so only the wrong ones of an address are slowed
		// down: its good ones pass.
		if _, busy := b.state.attempt(r); busy != nil {
			return false, busy
		}
		return false, unauthorized(badToken, wrongBearer+err.Error())
	}
	if err := jwt.Validate(t, jwt.WithIssuer(b.issuer), jwt.WithAudience(b.audience), jwt.WithRequiredClaim(jwt.ExpirationKey), jwt.WithAcceptableSkew(b.leeway)); err != nil {
		return false, unauthorized(badToken, wrongBearer+err.Error())
	}
	for name, want := range b.claims {
		if !hasClaim(t, name, want) {
			return false, &request.Error{Kind: request.Forbidden, Err: fmt.Errorf("the token's claim %s isn't what it must be", name), Challenge: noScope}
		}
	}
	user, _ := t.Subject()
	if strings.ContainsFunc(user, unicode.IsControl) {
		return false, unauthorized(badToken, wrongBearer+"its subject has control characters, which no field can have")
	}
	r.User = user
	return true, nil
}

// head is the header of a token.
type head struct {
	Alg  string `json:"alg"`
	Kid  string `json:"kid"`
	Crit any    `json:"crit"`
}

func readHead(token string) (h head, ok bool) {
	text, _, _ := strings.Cut(token, ".")
	if strings.Count(token, ".") != 2 {
		return h, false
	}
	data, err := base64.RawURLEncoding.DecodeString(text)
	return h, err == nil && json.Unmarshal(data, &h) == nil
}

// hasClaim reports whether a claim is a value, or a list that has it.
func hasClaim(t jwt.Token, name, want string) bool {
	var value any
	if t.Get(name, &value) != nil {
		return false
	}
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	return slices.ContainsFunc(list, func(v any) bool {
		text, isText := v.(string)
		if !isText {
			data, err := json.Marshal(v)
			text = string(data)
			return err == nil && text == want
		}
		return text == want
	})
}

// publicKeys returns the keys of a set that tokens can be signed with: no secrets, which
// whoever knows them could sign with, and none that are for encryption.
func publicKeys(set jwk.Set) (jwk.Set, error) {
	keys := jwk.NewSet()
	for i := range set.Len() {
		key, _ := set.Key(i)
		if key.KeyType().String() == "oct" {
			continue
		}
		if use, ok := key.KeyUsage(); ok && use == "enc" {
			continue
		}
		public, err := key.PublicKey()
		if err != nil {
			return nil, err
		}
		if err := keys.AddKey(public); err != nil {
			return nil, err
		}
	}
	return keys, nil
}
