package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"mkd/config"
	"mkd/proxy/request"
	"mkd/share"
)

// maxCredentials is how long a field Authorization may be, in bytes.
const maxCredentials = 8 << 10

// basic asks for a name and a password (RFC 7617).
type basic struct {
	state     *State
	file      *usersFile
	challenge string
}

func newBasic(c *config.BasicAuth, s *State) (*basic, error) {
	file, err := newUsersFile(c.UsersFile, s.Logf)
	if err != nil {
		return nil, err
	}
	return &basic{s, file, `Basic realm="` + c.Realm + `", charset="UTF-8"`}, nil
}

// Strip implements Guard.
func (b *basic) Strip(http.Header) {}

// Check implements Guard. A name that doesn't exist takes as long as one that does.
func (b *basic) Check(_ request.Response, r *request.Request) (bool, error) {
	given := r.Header["Authorization"]
	if len(given) == 0 {
		return false, unauthorized(b.challenge, "no name and password")
	}
	name, password, ok := parseBasic(given)
	if !ok {
		return false, unauthorized(b.challenge, "the field Authorization has no name and password")
	}
	hash, known := b.file.users().hashOf(name, b.state.secret[:])
	key := keyOf(b.state.secret[:], name, password, hash.text)
	if known && b.state.cache.has(key) {
		r.User = name
		return true, nil
	}
	right, err := b.isRight(r, key, hash, known, password)
	switch {
	case err != nil:
		return false, err
	case !right:
		return false, unauthorized(b.challenge, "the name or the password is wrong")
	}
	b.state.cache.add(key)
	r.User = name
	return true, nil
}

// isRight compares a password with a hash, which counts as an attempt of the client. One
// that fits, but came with a name that isn't known, counts too: else whoever has one
// password would learn which names there are. Requests of one address with the same
// password that come together, as those of a page do, share one attempt.
func (b *basic) isRight(r *request.Request, key cached, hash hashed, known bool, password string) (bool, error) {
	for {
		right, err, shared := b.state.checks.Do(string(key[:])+share.Network(r.Client.Addr()).String(), func() (any, error) {
			succeeded, err := b.state.attempt(r)
			if err != nil {
				return false, err
			}
			matches, err := b.state.matches(r, hash, password)
			right := matches && known
			if err != nil || right {
				succeeded() // or it wasn't looked at
			}
			return right, err
		})
		if shared && errors.Is(err, context.Canceled) && r.Context().Err() == nil {
			continue // another request's client has left
		}
		return right.(bool), err
	}
}

// parseBasic returns the name and the password of a field Authorization.
func parseBasic(lines []string) (name, password string, ok bool) {
	if len(lines) != 1 || len(lines[0]) > maxCredentials {
		return "", "", false
	}
	scheme, text, _ := strings.Cut(lines[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || strings.ContainsRune(string(decoded), 0) {
		return "", "", false
	}
	return strings.Cut(string(decoded), ":")
}
