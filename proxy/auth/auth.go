package auth

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"mkd/config"
	"mkd/cores"
	"mkd/proxy/request"
	"mkd/share"
)

// Guard decides whether a request may pass. It is safe for use by several goroutines.
type Guard interface {
	// Check returns an error if the request may not pass. If passed is false and there
	// is no error, Check has written the response.
	Check(w request.Response, r *request.Request) (passed bool, err error)

	// Strip removes what a client must not send, because the guard sets it. It is
	// called before Check is, of all guards of a route.
	Strip(h http.Header)
}

// State is what all guards have in common, and what outlives a configuration.
type State struct {
	// Logf logs what an operator should know.
	Logf func(format string, args ...any)

	failures failures
	hashing  *slots
	unnamed  *slots    // what clients have of hashing that look like one
	warned   sync.Once // of such clients
	secret   [32]byte  // of the cache
	cache    cache
	checks   singleflight.Group // of passwords
	relayed  *share.Pool        // bytes of the responses of auth servers that clients get

	mu   sync.Mutex
	keys map[string]*fetchedKeys // by URL; those of earlier configurations too
}

// NewState returns the state of a daemon's guards.
func NewState(logf func(format string, args ...any)) *State {
	s := &State{Logf: logf, hashing: newSlots(max(1, cores.Count()/2)), unnamed: newSlots(1), relayed: share.NewPool(maxRelayed, 0)}
	rand.Read(s.secret[:]) // never fails
	return s
}

// keysAt returns the keys at an address, with what was loaded of them before.
func (s *State) keysAt(url string) *fetchedKeys {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		s.keys = make(map[string]*fetchedKeys)
	}
	if s.keys[url] == nil {
		s.keys[url] = newFetchedKeys(url, s.Logf)
	}
	return s.keys[url]
}

// New returns a guard. at returns where a key of its section is in the configuration.
func New(c *config.Auth, s *State, at func(key string) string) (Guard, error) {
	var (
		g   Guard
		key string
		err error
	)
	switch {
	case c.Basic != nil:
		key = "basic.users_file"
		g, err = newBasic(c.Basic, s)
	case c.Forward != nil:
		key = "forward"
		g, err = newForward(c.Forward, s)
	case c.JWT != nil:
		key = "jwt.key"
		g, err = newJWT(c.JWT, s)
	default:
		return nil, errors.New("it has no kind")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at(key), err)
	}
	return g, nil
}

var errBlocked = errors.New("the client's address has failed to authenticate too often")

// attempt counts an attempt of a client. The result is an error if the client has
// failed too often, and else succeeded, which takes the attempt back.
//
// Behind a trusted proxy that names no client, attempts aren't counted: ten of anybody's
// would lock out all others. State.matches bounds them instead.
func (s *State) attempt(r *request.Request) (succeeded func(), err error) {
	if r.Exempt {
		return func() {}, nil
	}
	client := share.Network(r.Client.Addr())
	if after := s.failures.take(client, time.Now()); after > 0 {
		return nil, &request.Error{Kind: request.TooMany, Err: errBlocked, RetryAfter: after}
	}
	return func() { s.failures.giveBack(client) }, nil
}

// matches reports whether a password has a hash. Half the cores hash at most, so that the
// others are left for requests that have proven who they are. The clients of a trusted
// proxy that names none get one of these at a time, all together.
func (s *State) matches(r *request.Request, hash hashed, password string) (bool, error) {
	compare := func() (bool, error) {
		return s.hashing.hash(r.Context(), share.Network(r.Client.Addr()), func() (bool, error) { return hash.matches(password), nil })
	}
	if !r.Exempt {
		return compare()
	}
	matches, err := s.unnamed.hash(r.Context(), netip.Prefix{}, compare)
	if err == nil && !matches {
		s.warned.Do(func() {
			s.Logf("wrong passwords aren't slowed down by address behind %v: it is one of trusted_proxies, and names no client; see client_ip_field", r.Client.Addr())
		})
	}
	return matches, err
}

// unauthorized returns the error of a request that doesn't pass.
func unauthorized(challenge, why string) error {
	return &request.Error{Kind: request.Unauthorized, Err: errors.New(why), Challenge: challenge}
}
