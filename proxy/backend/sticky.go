package backend

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"

	"mkd/config"
	"mkd/proxy/balance"
	"mkd/proxy/request"
)

// sticky sends clients to the server that they had before, by a cookie.
type sticky struct {
	cookie string
	server map[string]*balance.Upstream // by the cookie's value
	value  map[string]string            // of the cookie, by the server's name
}

// minSecret is how long a secret must be, in bytes.
const minSecret = 32

// newSticky returns nil if there is no configuration. secret is used if that names no
// file.
func newSticky(c *config.Sticky, secret []byte, servers []*balance.Upstream) (*sticky, error) {
	if c == nil {
		return nil, nil
	}
	if c.SecretFile != "" {
		data, err := os.ReadFile(c.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("reading sticky.secret_file: %w", err)
		}
		if secret = bytes.TrimSpace(data); len(secret) < minSecret {
			return nil, fmt.Errorf("sticky.secret_file %s has %d bytes, want %d at least; make one with: openssl rand -hex 32 > FILE", c.SecretFile, len(secret), minSecret)
		}
	}
	s := &sticky{c.Cookie, make(map[string]*balance.Upstream), make(map[string]string)}
	for _, u := range servers {
		hash := hmac.New(sha256.New, secret)
		fmt.Fprintf(hash, "sticky\x00%s\x00%s", c.Cookie, u.Name)
		value := base64.RawURLEncoding.EncodeToString(hash.Sum(nil)[:16])
		s.server[value], s.value[u.Name] = u, value
	}
	return s, nil
}

// wished returns the server that a client had, nil if it isn't known.
func (s *sticky) wished(r *http.Request) *balance.Upstream {
	for _, c := range r.CookiesNamed(s.cookie) {
		if u := s.server[c.Value]; u != nil {
			return u
		}
	}
	return nil
}

// remember sets the cookie of the server that the client got, unless it has it already.
func (s *sticky) remember(r *request.Request, header http.Header) {
	value := s.value[r.Record.Upstream]
	if u := s.wished(r.Request); value == "" || u != nil && u.Name == r.Record.Upstream {
		return
	}
	c := &http.Cookie{Name: s.cookie, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.Secure}
	header["Set-Cookie"] = append(header["Set-Cookie"], c.String())
}
