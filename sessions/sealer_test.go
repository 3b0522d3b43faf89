package sessions

import (
	"bytes"
	"errors"
	"testing"

	"mkd/internal/testserver/storetest"
	"mkd/megaki"
)

func secret(b byte) []byte { return bytes.Repeat([]byte{b}, MinSecret) }

func newSealer(t testing.TB, first byte, old ...byte) *Sealer {
	t.Helper()
	var olds [][]byte
	for _, b := range old {
		olds = append(olds, secret(b))
	}
	s, err := NewSealer(secret(first), olds...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Old secrets open, the new one seals.
func TestOldSecrets(t *testing.T) {
	token, r := storetest.NewToken(), storetest.NewRecord(1)
	before, after, other := newSealer(t, 1), newSealer(t, 2, 1), newSealer(t, 2)
	sealed := before.Seal(token, r)
	got, err := after.Open(token, sealed)
	if err != nil || got.Current.Key != r.Current.Key || got.Revision != RevisionNumber(Revision(sealed)) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := other.Open(token, sealed); !errors.Is(err, ErrSealed) {
		t.Errorf("without the old secret: %v", err)
	}
	if _, err := other.Open(token, after.Seal(token, r)); err != nil {
		t.Errorf("sealed with the new secret: %v", err)
	}
}

func TestShortSecret(t *testing.T) {
	if _, err := NewSealer(make([]byte, MinSecret-1)); err == nil {
		t.Error("a secret of 31 bytes is taken")
	}
	if _, err := NewSealer(secret(1), nil); err == nil {
		t.Error("an empty old secret is taken")
	}
}

// A sealed record opens for its token alone, unchanged, and shows no key.
func TestSealedRecordIsBound(t *testing.T) {
	s := newSealer(t, 1)
	token, r := storetest.NewToken(), storetest.NewRecord(1)
	r.Pending = append(r.Pending, storetest.NewRecord(2).Current)
	sealed := s.Seal(token, r)
	if bytes.Contains(sealed, r.Current.Key[:8]) || bytes.Contains(sealed, r.Pending[0].Key[:8]) {
		t.Error("a key can be read")
	}
	if again := s.Seal(token, r); bytes.Equal(again, sealed) || bytes.Equal(Revision(again), Revision(sealed)) {
		t.Error("sealing twice makes the same")
	}
	other := token
	other[15] ^= 1
	if _, err := s.Open(other, sealed); !errors.Is(err, ErrSealed) {
		t.Errorf("under another token: %v", err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := s.Open(token, changed); !errors.Is(err, ErrSealed) {
			t.Errorf("byte %d changed: %v", i, err)
		}
		if _, err := s.Open(token, sealed[:i]); !errors.Is(err, ErrSealed) {
			t.Errorf("%d bytes: %v", i, err)
		}
	}
	if _, err := s.Open(token, append(sealed, 0)); !errors.Is(err, ErrSealed) {
		t.Errorf("a byte more: %v", err)
	}
}

func FuzzRecord(f *testing.F) {
	r := storetest.NewRecord(1)
	f.Add(appendRecord(nil, r))
	r.Pending = append(r.Pending, r.Current, r.Current)
	r.Resumes = append(r.Resumes, [8]byte{1})
	f.Add(appendRecord(nil, r))
	f.Fuzz(func(t *testing.T, p []byte) {
		r, err := parseRecord(p)
		if err != nil {
			return
		}
		if len(r.Pending) > megaki.MaxPending || len(r.Resumes) > megaki.MaxResumes || len(p) > maxRecord {
			t.Fatalf("%d bytes, %d pending keys, %d MACs", len(p), len(r.Pending), len(r.Resumes))
		}
		again, err := parseRecord(appendRecord(nil, r))
		if err != nil || again.Client != r.Client || again.Current.Key != r.Current.Key || !again.Expires.Equal(r.Expires) {
			t.Fatalf("%+v, %v; at first %+v", again, err, r)
		}
	})
}
