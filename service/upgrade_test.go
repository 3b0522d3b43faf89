package service

import (
	"encoding/gob"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mkd/megaki"
	"mkd/sessions/handover"
)

// TestSuccessorHangs: a new process that gets the sessions and then hangs doesn't keep them
// from clients for ever, whatever it has received, and neither does one that asks twice.
func TestSuccessorHangs(t *testing.T) {
	ask := func(t *testing.T, enc *gob.Encoder) {
		if err := enc.Encode(report{What: wantsSessions}); err != nil {
			t.Error(err)
		}
	}
	for name, c := range map[string]struct {
		successor func(*testing.T, *gob.Encoder, *gob.Decoder)
		want      string
		within    time.Duration
	}{
		"before it reads them": {func(t *testing.T, enc *gob.Encoder, _ *gob.Decoder) { ask(t, enc) },
			"i/o timeout", moveTimeout},
		"before it is ready": {func(t *testing.T, enc *gob.Encoder, dec *gob.Decoder) {
			ask(t, enc)
			if err := dec.Decode(new(response)); err != nil {
				t.Error(err)
			}
			if n, err := handover.Receive(dec, megaki.NewMemoryStore(10)); n != 1 || err != nil {
				t.Errorf("%d sessions, %v", n, err)
			}
		}, "wasn't ready 1m0s after it had asked for the sessions", moveTimeout + exitWait},
		"asks twice": {func(t *testing.T, enc *gob.Encoder, dec *gob.Decoder) {
			ask(t, enc)
			dec.Decode(new(response))
			handover.Receive(dec, megaki.NewMemoryStore(10))
			ask(t, enc)
		}, "asks for the sessions twice", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := megaki.NewMemoryStore(10)
				if ok, err := store.CompareAndSwap(t.Context(), megaki.Token{1}, nil, &megaki.Record{Expires: time.Now().Add(time.Hour)}); !ok || err != nil {
					t.Fatal(err)
				}
				own, other := net.Pipe()
				defer own.Close()
				n := &successor{reports: own, enc: gob.NewEncoder(own), dec: gob.NewDecoder(own), ended: make(chan error, 1)}
				go c.successor(t, gob.NewEncoder(other), gob.NewDecoder(other))
				began := time.Now()
				end, err := n.converse(func() (*megaki.MemoryStore, func(megaki.SessionStore) error, error) {
					return store, func(megaki.SessionStore) error { return nil }, nil
				})
				if end == nil || err == nil || !strings.Contains(err.Error(), c.want) || time.Since(began) != c.within {
					t.Errorf("%v after %v", err, time.Since(began))
				}
			})
		})
	}
}
