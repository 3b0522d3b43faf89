package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
)

// keySource has the keys of an issuer.
type keySource interface {
	// get returns the keys. kid is the name of the one that is needed, "" if it isn't
	// known.
	get(ctx context.Context, kid string) (jwk.Set, error)
}

type fixedKeys struct{ jwk.Set }

func (k fixedKeys) get(context.Context, string) (jwk.Set, error) { return k.Set, nil }

// readKeys reads a public key in PEM, or a JWK Set.
func readKeys(path string) (jwk.Set, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

func parseKeys(data []byte) (jwk.Set, error) {
	set, err := parseSet(data)
	if err != nil {
		return nil, fmt.Errorf("want a public key in PEM, or a JWK Set: %w", err)
	}
	keys, err := publicKeys(set)
	if err != nil {
		return nil, err
	}
	if keys.Len() == 0 {
		return nil, errors.New("it has no key for signatures by RSA, ECDSA or Ed25519")
	}
	return keys, nil
}

// parseSet parses a key, or the keys of a set whose kind is known: an issuer may have
// others beside them (RFC 7517, section 5).
func parseSet(data []byte) (jwk.Set, error) {
	var list struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(data, &list) != nil || list.Keys == nil {
		return jwk.Parse(data, jwk.WithPEM(bytes.Contains(data, []byte("-----BEGIN "))))
	}
	set := jwk.NewSet()
	for _, text := range list.Keys {
		key, err := jwk.ParseKey(text)
		if err != nil {
			continue
		}
		if err := set.AddKey(key); err != nil {
			return nil, err
		}
	}
	return set, nil
}

const (
	maxKeys      = 1 << 20 // bytes of a JWK Set
	keysFresh    = 15 * time.Minute
	keysPause    = 30 * time.Second // between attempts to load them
	firstPause   = 2 * time.Second  // while there are none
	keysTimeout  = 10 * time.Second
	firstTimeout = 5 * time.Second // how long a request waits for them
)

// fetchedKeys are keys at an address. They are loaded when they are needed, and then
// anew now and then, while the old ones are used.
type fetchedKeys struct {
	url    string
	logf   func(format string, args ...any)
	client *http.Client

	mu     sync.Mutex
	keys   jwk.Set // nil: none were loaded
	err    error   // of the last attempt
	tried  time.Time
	loaded time.Time
	done   chan struct{} // closed when the present attempt ends; nil: there is none
}

func newFetchedKeys(url string, logf func(string, ...any)) *fetchedKeys {
	return &fetchedKeys{url: url, logf: logf, client: &http.Client{Timeout: keysTimeout, Transport: &http.Transport{IdleConnTimeout: time.Second, ForceAttemptHTTP2: true}}}
}

func (k *fetchedKeys) get(ctx context.Context, kid string) (jwk.Set, error) {
	k.mu.Lock()
	have := k.keys != nil
	missing := !have
	if have && kid != "" {
		_, known := k.keys.LookupKeyID(kid)
		missing = !known
	}
	now, pause := time.Now(), keysPause
	if !have {
		pause = firstPause
	}
	if (missing || now.Sub(k.loaded) > keysFresh) && k.done == nil && now.Sub(k.tried) > pause {
		k.tried, k.done = now, make(chan struct{})
		go k.load()
	}
	done := k.done
	k.mu.Unlock()
	if missing && done != nil {
		timer := time.NewTimer(firstTimeout)
		defer timer.Stop()
		select {
		case <-done:
		case <-ctx.Done():
		case <-timer.C:
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.keys != nil:
		return k.keys, nil
	case k.err != nil:
		return nil, k.err
	}
	return nil, errors.New("there are none yet")
}

// load loads the keys.
func (k *fetchedKeys) load() {
	keys, err := k.fetch()
	if err != nil {
		k.logf("loading the keys at %s: %v", k.url, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err = err; err == nil {
		k.keys, k.loaded = keys, time.Now()
	}
	close(k.done)
	k.done = nil
}

func (k *fetchedKeys) fetch() (jwk.Set, error) {
	resp, err := k.client.Get(k.url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("its status is %s", resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxKeys))
	if err != nil {
		return nil, err
	}
	return parseKeys(data)
}
