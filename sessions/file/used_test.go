package file

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"mkd/internal/testserver/storetest"
	"mkd/megaki"
)

// TestActiveSessionIsNotEvictedFirst: messages and resumptions did not count as use in the
// file, so a busy session was forgotten while an idle one stayed.
func TestActiveSessionIsNotEvictedFirst(t *testing.T) {
	uses := map[string]func(*Store, megaki.Token){
		"message":    func(s *Store, token megaki.Token) { s.Touch(token) },
		"resumption": func(s *Store, token megaki.Token) { s.Load(t.Context(), token) },
	}
	for name, use := range uses {
		for _, sameClient := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s same client %t", name, sameClient), func(t *testing.T) {
				o := options(t, filepath.Join(t.TempDir(), "sessions.db"), 1)
				o.Capacity = 10
				s := open(t, o)
				var made []megaki.Token
				add := func() {
					token, r := storetest.NewToken(), storetest.NewRecord(1)
					r.Expires = r.Expires.Add(time.Duration(len(made)) * time.Second)
					if !sameClient {
						r.Client = netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, byte(len(made) >> 8), byte(len(made))}), 32)
					}
					storetest.Swap(t, s, token, nil, r)
					made = append(made, token)
				}
				for range o.Capacity {
					add()
				}
				busy, left := made[:3], made[3] // left is used for a while
				for i := range 40 {
					for _, token := range busy {
						use(s, token)
					}
					if i < 8 {
						use(s, left)
					}
					add()
				}
				have := func(token megaki.Token) bool {
					r, err := s.Load(t.Context(), token)
					if err != nil {
						t.Fatal(err)
					}
					return r != nil
				}
				for i, token := range busy {
					if !have(token) {
						t.Errorf("busy session %d is forgotten", i)
					}
				}
				if have(left) {
					t.Error("a session that isn't used any more is kept")
				}
				newest := made[len(made)-(o.Capacity-len(busy))/2:]
				for i, token := range newest {
					if !have(token) {
						t.Errorf("of the newest sessions number %d of %d is forgotten", i, len(newest))
					}
				}
				intact(t, s.db.Load(), o.Capacity)
			})
		}
	}
}

// Sessions that are all used are forgotten by their handshake.
func TestAllAreUsed(t *testing.T) {
	o := options(t, filepath.Join(t.TempDir(), "sessions.db"), 1)
	o.Capacity = 5
	s := open(t, o)
	var made []megaki.Token
	for i := range 6 {
		token, r := storetest.NewToken(), storetest.NewRecord(i)
		r.Expires = r.Expires.Add(time.Duration(i) * time.Second)
		s.Touch(token)
		storetest.Swap(t, s, token, nil, r)
		made = append(made, token)
	}
	if storetest.Load(t, s, made[0]) != nil || s.Len() != o.Capacity {
		t.Errorf("%d sessions; the first is kept: %t", s.Len(), storetest.Load(t, s, made[0]) != nil)
	}
}

// TestPassEndsWithItsClient: a pass over a client's sessions that were all used begins anew,
// and doesn't go on with those of the next client.
func TestPassEndsWithItsClient(t *testing.T) {
	s := open(t, options(t, filepath.Join(t.TempDir(), "sessions.db"), 1))
	a, b := []byte("client A"), []byte("client B")
	first, last, other := storetest.NewToken(), storetest.NewToken(), storetest.NewToken()
	key := func(client []byte, second byte, token megaki.Token) []byte {
		return join(client, []byte{0, 0, 0, 0, 0, 0, 0, second}, token[:])
	}
	err := s.db.Load().Update(func(tx *bolt.Tx) error {
		x := tx.Bucket(clientsBucket)
		if err := errors.Join(x.Put(key(a, 1, first), nil), x.Put(key(a, 2, last), nil), x.Put(key(b, 1, other), nil)); err != nil {
			return err
		}
		p := pass{at: key(a, 2, last), left: 2}
		s.used.add(last)
		if got := p.next(x, a, 2, s.used); !bytes.Equal(got, key(a, 1, first)) {
			t.Errorf("%q, want that of %s", got, first)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What is known of use is bounded, also if the sessions aren't in the file any more.
func TestUsedIsBounded(t *testing.T) {
	u := newUsed(10)
	var last megaki.Token
	for range 1000 {
		last = storetest.NewToken()
		u.add(last)
		if n := len(u.newer) + len(u.older); n > 20 {
			t.Fatalf("%d sessions are known", n)
		}
	}
	if !u.take(last) || u.take(last) {
		t.Error("the last session is taken not once")
	}
}
