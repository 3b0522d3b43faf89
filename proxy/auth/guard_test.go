package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/argon2"

	"mkd/config"
	"mkd/proxy/request"
)

func argonOf(password string) string {
	enc := base64.RawStdEncoding.EncodeToString
	return "$argon2id$v=19$m=64,t=1,p=1$" + enc([]byte("somesalt")) + "$" + enc(argon2.IDKey([]byte(password), []byte("somesalt"), 1, 64, 1, 32))
}

// from returns a request of a client with an Authorization field.
func from(client, authorization string) *request.Request {
	h, _ := http.NewRequestWithContext(context.Background(), "GET", "http://example.org/", nil)
	if authorization != "" {
		h.Header.Set("Authorization", authorization)
	}
	return &request.Request{Request: h, Client: netip.AddrPortFrom(netip.MustParseAddr(client), 1)}
}

func basicOf(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

func testState(t *testing.T) *State {
	return NewState(func(format string, args ...any) { t.Logf(format, args...) })
}

func newTestBasic(t *testing.T, s *State, users string) Guard {
	t.Helper()
	file := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(file, []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := New(&config.Auth{Basic: &config.BasicAuth{UsersFile: file, Realm: "r"}}, s, func(key string) string { return key })
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestBasic counts how often passwords are hashed: a name that doesn't exist takes as
// many as a wrong password, and one that was right takes none again.
func TestBasic(t *testing.T) {
	s := testState(t)
	g := newTestBasic(t, s, "ann:"+byBcrypt+"\nbob:"+argonOf("secret"))
	for i, c := range []struct {
		name, authorization string
		passes              bool
		hashes              int64
	}{
		{"nothing", "", false, 0},
		{"right", basicOf("ann", "secret"), true, 1},
		{"right again", basicOf("ann", "secret"), true, 0},
		{"by Argon2id", basicOf("bob", "secret"), true, 1},
		{"wrong", basicOf("ann", "Secret"), false, 1},
		{"wrong again", basicOf("ann", "Secret"), false, 1},
		{"unknown name", basicOf("eve", "secret"), false, 1},
		{"unknown name again", basicOf("eve", "secret"), false, 1},
		{"another's password", basicOf("bob", ""), false, 1},
		{"name in capitals", basicOf("ANN", "secret"), false, 1},
		{"scheme in capitals", strings.Replace(basicOf("ann", "secret"), "Basic", "BASIC", 1), true, 0},
		{"bearer", "Bearer x", false, 0},
		{"no base64", "Basic %%%", false, 0},
		{"no colon", "Basic " + base64.StdEncoding.EncodeToString([]byte("ann")), false, 0},
		{"right, then no base64", basicOf("ann", "secret") + "%%%", false, 0},
		{"right by another scheme", strings.Replace(basicOf("ann", "secret"), "Basic", "Bearer", 1), false, 0},
		{"NUL", basicOf("ann", "secret\x00"), false, 0},
		{"long", basicOf("ann", strings.Repeat("s", maxCredentials)), false, 0},
	} {
		before := s.hashing.used.Load()
		r := from(fmt.Sprintf("192.0.2.%d", i), c.authorization)
		passed, err := g.Check(nil, r)
		if passed != c.passes || (err == nil) != c.passes || err != nil && request.Status(err) != 401 {
			t.Errorf("%s: %v, %v", c.name, passed, err)
		}
		if n := s.hashing.used.Load() - before; n != c.hashes {
			t.Errorf("%s: %d hashes, want %d", c.name, n, c.hashes)
		}
		if c.passes && !strings.EqualFold(r.User, "ann") && r.User != "bob" {
			t.Errorf("%s: the user is %q", c.name, r.User)
		}
	}
	r := from("192.0.2.100", basicOf("ann", "secret"))
	r.Header.Add("Authorization", basicOf("ann", "secret"))
	if passed, err := g.Check(nil, r); passed || request.Status(err) != 401 {
		t.Errorf("two fields: %v, %v", passed, err)
	}
}

// TestBruteForce: after some failures an address is refused, without a hash; who has
// given the right password before, and other addresses, are not.
func TestBruteForce(t *testing.T) {
	s := testState(t)
	g := newTestBasic(t, s, "ann:"+byBcrypt)
	if _, err := g.Check(nil, from("192.0.2.1", basicOf("ann", "secret"))); err != nil {
		t.Fatal(err)
	}
	s.hashing.used.Store(0)
	var wg sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for i := range 50 { // at once
		wg.Go(func() {
			_, err := g.Check(nil, from("192.0.2.1", basicOf("ann", fmt.Sprint(i))))
			mu.Lock()
			defer mu.Unlock()
			statuses[request.Status(err)]++
		})
	}
	wg.Wait()
	if n := s.hashing.used.Load(); n < maxFailures || n > maxFailures+2 || statuses[429] != 50-int(n) || statuses[401] != int(n) {
		t.Errorf("%d hashes, statuses %v", s.hashing.used.Load(), statuses)
	}
	_, err := g.Check(nil, from("192.0.2.1", basicOf("ann", "x")))
	var e *request.Error
	if e, _ = err.(*request.Error); e == nil || e.Kind != request.TooMany || e.RetryAfter <= 0 || e.RetryAfter > failureRate {
		t.Errorf("the next is refused with %v", err)
	}
	if _, err := g.Check(nil, from("192.0.2.1", basicOf("ann", "secret"))); err != nil {
		t.Errorf("who has given the right password before gets %v", err)
	}
	if _, err := g.Check(nil, from("192.0.2.2", basicOf("ann", "x"))); request.Status(err) != 401 {
		t.Errorf("another address gets %v", err)
	}
	if _, err := g.Check(nil, from("192.0.2.1", "")); request.Status(err) != 401 {
		t.Errorf("without a password: %v", err)
	}
}

// TestUnknownNames: a name that isn't known has its password compared with the hash of some
// user, always of the same, and the password of a user counts as an attempt like any other
// that is wrong.
func TestUnknownNames(t *testing.T) {
	u, err := parseUsers("f", strings.NewReader("ann:"+byBcrypt+"\nbob:"+argonOf("secret")))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i := range 64 {
		name := fmt.Sprint(i)
		hash, known := u.hashOf(name, []byte("x"))
		again, _ := u.hashOf(name, []byte("x"))
		if known || hash.text == "" || hash.text != again.text {
			t.Errorf("the name %s: %q, then %q, known: %v", name, hash.text, again.text, known)
		}
		seen[hash.text] = true
	}
	if len(seen) != 2 {
		t.Errorf("unknown names have the hashes of %d users", len(seen))
	}

	g := newTestBasic(t, testState(t), "ann:"+byBcrypt)
	for i := range maxFailures + 1 {
		want := 401
		if i == maxFailures {
			want = 429
		}
		if _, err := g.Check(nil, from("192.0.2.1", basicOf(fmt.Sprint("eve", i), "secret"))); request.Status(err) != want {
			t.Errorf("unknown name %d with the password of a user gets %v, want %d", i, err, want)
		}
	}
}

// TestAnotherClientLeaves: of two requests that share an attempt, the one that goes on passes
// when the other one's client leaves, and no attempt is lost.
func TestAnotherClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testState(t)
		g := newTestBasic(t, s, "ann:"+byBcrypt)
		release := takeAll(t, s.hashing)
		leaving := from("192.0.2.1", basicOf("ann", "secret"))
		ctx, leave := context.WithCancel(t.Context())
		leaving.Request = leaving.WithContext(ctx)
		left, stays := make(chan error), make(chan error)
		go func() { _, err := g.Check(nil, leaving); left <- err }()
		synctest.Wait()
		go func() { _, err := g.Check(nil, from("192.0.2.1", basicOf("ann", "secret"))); stays <- err }()
		synctest.Wait()
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("who has left gets %v", err)
		}
		synctest.Wait()
		release()
		if err := <-stays; err != nil {
			t.Errorf("who stays gets %v", err)
		}
		if n := len(s.failures.known); n != 0 {
			t.Errorf("the attempts of %d addresses count", n)
		}
	})
}

// TestRequestsOfAPage: many requests at once with the right password, as those of a page,
// all pass, with one hash.
func TestRequestsOfAPage(t *testing.T) {
	s := testState(t)
	g := newTestBasic(t, s, "ann:"+byBcrypt)
	release := takeAll(t, s.hashing) // so that all come before the first is hashed
	var wg sync.WaitGroup
	for range 5 * maxFailures {
		wg.Go(func() {
			if _, err := g.Check(nil, from("192.0.2.1", basicOf("ann", "secret"))); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	release()
	wg.Wait()
	if n := s.hashing.used.Load(); n < 1 || n > 3 {
		t.Errorf("%d hashes", n)
	}
}

// TestClientsNobodyNames: the clients of a trusted proxy that names none aren't locked out by
// what one of them does. Their passwords are checked one at a time, and others' beside them.
func TestClientsNobodyNames(t *testing.T) {
	var logged []string
	s := NewState(func(format string, args ...any) { logged = append(logged, fmt.Sprintf(format, args...)) })
	g := newTestBasic(t, s, "ann:"+byBcrypt)
	exempt := func(password string) *request.Request {
		r := from("192.0.2.1", basicOf("ann", password))
		r.Exempt = true
		return r
	}
	for i := range 2 * maxFailures {
		if _, err := g.Check(nil, exempt(fmt.Sprint(i))); request.Status(err) != 401 {
			t.Fatalf("wrong password %d gets %v", i, err)
		}
	}
	if len(logged) != 1 {
		t.Errorf("logged: %q", logged)
	}
	if _, err := g.Check(nil, exempt("secret")); err != nil {
		t.Errorf("the right password gets %v", err)
	}

	release := takeAll(t, s.unnamed)
	var wg sync.WaitGroup
	for i := range maxWaiting {
		wg.Go(func() { g.Check(nil, exempt(fmt.Sprint("more", i))) })
	}
	waitFor(t, s.unnamed, maxWaiting)
	if _, err := g.Check(nil, exempt("one more")); request.Status(err) != 503 {
		t.Errorf("one more that waits gets %v", err)
	}
	if _, err := g.Check(nil, from("192.0.2.2", basicOf("ann", "x"))); request.Status(err) != 401 {
		t.Errorf("a client with an address gets %v", err)
	}
	release()
	wg.Wait()
}
