package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
)

// issuer is where keys are loaded from.
type issuer struct {
	status  int
	text    string
	asked   int
	respond chan struct{} // receives before a response is given; nil: none waits
}

// RoundTrip implements http.RoundTripper.
func (s *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked++
	if s.respond != nil {
		select {
		case <-s.respond:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	return &http.Response{StatusCode: s.status, Status: http.StatusText(s.status), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(s.text))}, nil
}

// keySet returns a set with a key of a name.
func keySet(t *testing.T, name string) string {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jwk.Import(ec.Public())
	if err != nil {
		t.Fatal(err)
	}
	key.Set("kid", name)
	text, err := json.Marshal(map[string]any{"keys": []any{key}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestWhenKeysAreLoaded: often while there are none, seldom for a name that isn't known,
// and now and then for one that is, whose requests don't wait.
func TestWhenKeysAreLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := &issuer{status: http.StatusInternalServerError, text: keySet(t, "a")}
		k := newFetchedKeys("https://id.example.org/keys", t.Logf)
		k.client.Transport = from
		step := func(what, kid string, after time.Duration, passes bool, asked int) {
			t.Helper()
			time.Sleep(after)
			_, err := k.get(t.Context(), kid)
			synctest.Wait()
			if (err == nil) != passes || from.asked != asked {
				t.Errorf("%s: %v, asked %d times, want %d", what, err, from.asked, asked)
			}
		}
		step("an error with keys in its text", "a", time.Second, false, 1)
		step("too early", "a", firstPause, false, 1)
		from.status = http.StatusOK
		step("later", "a", 1, true, 2)
		step("known", "a", keysFresh, true, 2)
		step("known and stale", "a", 1, true, 3)
		step("without a name", "", keysPause+1, true, 3)
		step("unknown", "b", 0, true, 4)
		step("unknown, too early", "b", keysPause, true, 4)
		step("unknown, later", "b", 1, true, 5)

		from.respond = make(chan struct{})
		time.Sleep(keysFresh + 1)
		start := time.Now()
		for range 3 {
			if _, err := k.get(t.Context(), "a"); err != nil || time.Since(start) != 0 {
				t.Errorf("while keys are loaded a known one waits for %v: %v", time.Since(start), err)
			}
		}
		if _, err := k.get(t.Context(), "b"); err != nil || time.Since(start) != firstTimeout {
			t.Errorf("one that isn't known waits for %v: %v", time.Since(start), err)
		}
		time.Sleep(keysTimeout)
		synctest.Wait()
		if from.asked != 6 {
			t.Errorf("asked %d times", from.asked)
		}
	})
}

// TestKeysThatNeverCome: a request waits for the first keys for a bounded time.
func TestKeysThatNeverCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := 0
		k := newFetchedKeys("https://id.example.org/keys", func(string, ...any) { logged++ })
		k.client.Transport = &issuer{respond: make(chan struct{})}
		start := time.Now()
		if _, err := k.get(t.Context(), ""); err == nil || time.Since(start) != firstTimeout {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		time.Sleep(keysTimeout)
		synctest.Wait()
		if logged != 1 {
			t.Errorf("%d lines are logged", logged)
		}
	})
}

// TestKeysAreBounded: no more is read of the keys than may be.
func TestKeysAreBounded(t *testing.T) {
	k := newFetchedKeys("https://id.example.org/keys", t.Logf)
	endless := new(endlessBody)
	k.client.Transport = bodyOf{endless}
	if _, err := k.fetch(); err == nil || endless.read > 2*maxKeys || !endless.closed {
		t.Errorf("%v after %d bytes, closed: %v", err, endless.read, endless.closed)
	}
	k.client.Transport = bodyOf{io.NopCloser(brokenBody{})}
	if _, err := k.fetch(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a body that breaks off: %v", err)
	}
}

// bodyOf gives a response with a body.
type bodyOf struct{ io.ReadCloser }

// RoundTrip implements http.RoundTripper.
func (b bodyOf) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: b}, nil
}

type endlessBody struct {
	read   int
	closed bool
}

func (b *endlessBody) Read(p []byte) (int, error) { b.read += len(p); return len(p), nil }
func (b *endlessBody) Close() error               { b.closed = true; return nil }

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
