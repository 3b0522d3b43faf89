package auth

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"mkd/config"
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
	secret   [32]byte // of the cache
	cache    cache
	checks   singleflight.Group // of passwords
	relayed  *share.Pool        // bytes of the responses of auth servers that clients get

	mu   sync.Mutex
	keys map[string]*fetchedKeys // by URL; those of earlier configurations too
}

// NewState returns the state of a daemon's guards.
func NewState(logf func(format string, args ...any)) *State {
	s := &State{Logf: logf, hashing: newSlots(), relayed: share.NewPool(maxRelayed, 0)}
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
func (s *State) attempt(r *request.Request) (succeeded func(), err error) {
	client := share.Network(r.Client.Addr())
	if after := s.failures.take(client, time.Now()); after > 0 {
		return nil, &request.Error{Kind: request.TooMany, Err: errBlocked, RetryAfter: after}
	}
	return func() { s.failures.giveBack(client) }, nil
}

// unauthorized returns the error of a request that doesn't pass.
func unauthorized(challenge, why string) error {
	return &request.Error{Kind: request.Unauthorized, Err: errors.New(why), Challenge: challenge}
}
