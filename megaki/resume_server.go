package megaki

import (
	"context"
	"fmt"
	"slices"
	"time"

	"mkd/share"
)

const (
	// maxSwaps is how often a resumption or a promotion tries to replace a
	// session's record. Each attempt that fails means that another connection of
	// the session has succeeded, and a record has room for few of them.
	maxSwaps = MaxPending + 2
	// promoteTimeout bounds a promotion, which nobody waits for.
	promoteTimeout = 10 * time.Second
)

// resume responds to a MSG-RSTOR. It reports false, and no error, if the client
// has to do a handshake, for whatever reason.
func (h *serverHandshake) resume(ctx context.Context, rstor *rstorPacket) (agreement, bool, error) {
	token := Token(msgPacket(rstor[:]).token())
	r, ok := h.acceptResume(ctx, token, rstor)
	if !ok {
		return agreement{}, false, nil
	}
	var ack rstorPacket
	copy(ack[msgHeaderSize:], r.augment[:])
	newBox(&r.mid).seal(ack[:], typeRSTORACK, token[:], symmetricKey)
	s := h.session(token, &r.key)
	if err := h.wire.write(ack[:], 0); err != nil {
		s.close()
		return agreement{}, false, fmt.Errorf("writing MSG-RSTOR-ACK: %w", err)
	}
	return agreement{session: s, token: token, key: r.next.ServerKey, pending: &r.key.Key}, true, nil
}

// acceptResume checks a MSG-RSTOR, and puts its new key into the session's
// record. It starts again with the new record if another connection of the
// session has changed the record meanwhile.
func (h *serverHandshake) acceptResume(ctx context.Context, token Token, rstor *rstorPacket) (resumption, bool) {
	end, ok := h.srv.beginStoring(h.client.Addr())
	if !ok {
		h.storeFailed(errStoring)
		return resumption{}, false
	}
	defer end()
	attempt := resumeAttempt{client: h.mem.replay, verify: h.srv.verify}
	h.srv.random(attempt.augment[:])
	for range maxSwaps {
		record, err := h.srv.sessions.Load(ctx, token)
		if err != nil {
			h.storeFailed(err)
		}
		packet := *rstor // accept decrypts it in place
		r, ok := attempt.accept(record, packet[:])
		if !ok || h.srv.isRetired(record.ServerKey) {
			return resumption{}, false
		}
		swapped, err := h.srv.sessions.CompareAndSwap(ctx, token, record, r.next)
		if err != nil {
			h.storeFailed(err)
			return resumption{}, false
		}
		if swapped {
			return r, true
		}
	}
	return resumption{}, false
}

// resumption is the result of an accepted MSG-RSTOR.
type resumption struct {
	next    *Record            // takes the record's place
	mid     [symmetricKey]byte // the key of the MSG-RSTOR-ACK
	augment [symmetricKey]byte // the server's, which the MSG-RSTOR-ACK carries
	key     SessionKey         // the new master key, pending
}

// verifyFunc is verifyUnder, or what a test puts in its place.
type verifyFunc func(key *[symmetricKey]byte, p msgPacket) bool

// verifyUnder reports whether a packet's MAC is valid under a key.
func verifyUnder(key *[symmetricKey]byte, p msgPacket) bool { return newMAC(key).verify(p) }

// resumeAttempt is what the attempts to resume a session with one MSG-RSTOR have
// in common.
type resumeAttempt struct {
	augment [symmetricKey]byte // the server's
	client  *share.Client      // the MACs under the new key are counted for it
	verify  verifyFunc
	seen    *seenMACs // the set that has the MSG-RSTOR's MAC because of an earlier attempt
}

// accept checks a MSG-RSTOR against a session's record, nil if there is none, and
// decrypts it in place. It computes a MAC for each key that a record can have,
// whether or not the record exists and has so many, and whichever key fits: time
// does not show which tokens exist.
func (a *resumeAttempt) accept(record *Record, p msgPacket) (resumption, bool) {
	var keys [1 + MaxPending]SessionKey
	n := 0
	if record != nil {
		keys[0] = record.Current
		n = 1 + copy(keys[1:], record.Pending)
	}
	found := -1
	for i := range keys {
		// Past n the keys are zeros, which anyone has.
		if a.verify(&keys[i].Key, p) && i < n && found < 0 {
			found = i
		}
	}
	if found < 0 {
		return resumption{}, false
	}
	next := record.clone()
	if found > 0 { // the client has this key: the others end
		next.Current, next.Pending, next.Resumes = keys[found], nil, nil
	}
	key := &next.Current
	prefix := [8]byte(p.mac())
	if len(next.Pending) >= MaxPending || len(next.Resumes) >= MaxResumes ||
		slices.Contains(next.Resumes, prefix) || !a.remember(key.seen, p) {
		return resumption{}, false
	}
	r := resumption{next: next, augment: a.augment}
	clientAugment := [symmetricKey]byte(newBox(&key.Key).open(p))
	r.mid = derive(&key.Key, &clientAugment)
	r.key = SessionKey{Key: derive(&r.mid, &r.augment), seen: newSeenMACs(a.client)}
	next.Resumes = append(next.Resumes, prefix)
	next.Pending = append(next.Pending, r.key)
	return r, true
}

// remember puts the MAC of the MSG-RSTOR into the set of its key, nil if the
// store keeps none. It reports false if the MAC is there already, unless an
// earlier attempt put it there.
func (a *resumeAttempt) remember(seen *seenMACs, p msgPacket) bool {
	if seen == nil || seen == a.seen {
		return true
	}
	if seen.add(p.mac(), len(p.ciphertext())) != nil {
		return false
	}
	a.seen = seen
	return true
}

// promoteBeside starts a promotion, and reports false if too many are in flight.
// The store may be slow: no message waits for it.
func (s *Server) promoteBeside(c *serverConn) bool {
	end, ok := s.beginStoring(s.counted(c.remote.Addr()))
	if !ok {
		return false
	}
	token, key, client := c.token, *c.pending, c.remote
	s.promoting.Go(func() {
		defer end()
		if err := s.promote(token, &key); err != nil {
			s.storeFailed(client, err)
		}
	})
	return true
}

// promote makes a pending key the session's current one, now that the client
// has shown that it has the key. If the record has changed otherwise meanwhile,
// the connection goes on, and the session can't be resumed with its key.
func (s *Server) promote(token Token, key *[symmetricKey]byte) error {
	ctx, cancel := context.WithTimeout(s.ctx, promoteTimeout)
	defer cancel()
	for range maxSwaps {
		record, err := s.sessions.Load(ctx, token)
		if err != nil || record == nil {
			return err
		}
		i := slices.IndexFunc(record.Pending, func(k SessionKey) bool { return k.Key == *key })
		if i < 0 {
			return nil
		}
		next := *record
		next.Current, next.Pending, next.Resumes = record.Pending[i], nil, nil
		swapped, err := s.sessions.CompareAndSwap(ctx, token, record, &next)
		if err != nil || swapped {
			return err
		}
	}
	return nil
}
