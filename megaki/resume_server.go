package megaki

import (
	"context"
	"fmt"
	"slices"

	"mkd/share"
)

// resume responds to a MSG-RSTOR. It reports false, and no error, if the client
// has to do a handshake, for whatever reason.
func (h *serverHandshake) resume(ctx context.Context, rstor *rstorPacket) (agreement, bool, error) {
	p := msgPacket(rstor[:])
	token := Token(p.token())
	record, err := h.srv.sessions.Load(ctx, token)
	if err != nil {
		h.storeFailed(err)
	}
	var augment [symmetricKey]byte
	h.srv.random(augment[:])
	r, ok := acceptResume(record, p, augment, h.mem.replay, h.srv.verify)
	if !ok {
		return agreement{}, false, nil
	}
	swapped, err := h.srv.sessions.CompareAndSwap(ctx, token, record, r.next)
	if err != nil {
		h.storeFailed(err)
	}
	if err != nil || !swapped {
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
	srv, key := h.srv, r.key.Key
	return agreement{session: s, token: token, confirm: func() error { return srv.promote(token, &key) }}, true, nil
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

// acceptResume checks a MSG-RSTOR against a session's record, nil if there is
// none. It computes a MAC for each key that a record can have, whether or not
// the record exists and has so many, and whichever key fits: time does not
// show which tokens exist. augment is the server's; the MACs under the new key
// are counted for client.
func acceptResume(record *Record, p msgPacket, augment [symmetricKey]byte, client *share.Client, verify verifyFunc) (resumption, bool) {
	var keys [1 + MaxPending]SessionKey
	n := 0
	if record != nil {
		keys[0] = record.Current
		n = 1 + copy(keys[1:], record.Pending)
	}
	found := -1
	for i := range keys {
		// Past n the keys are zeros, which anyone has.
		if verify(&keys[i].Key, p) && i < n && found < 0 {
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
		slices.Contains(next.Resumes, prefix) ||
		key.seen != nil && key.seen.add(p.mac(), len(p.ciphertext())) != nil {
		return resumption{}, false
	}
	r := resumption{next: next, augment: augment}
	clientAugment := [symmetricKey]byte(newBox(&key.Key).open(p))
	r.mid = derive(&key.Key, &clientAugment)
	r.key = SessionKey{Key: derive(&r.mid, &r.augment), seen: newSeenMACs(client)}
	next.Resumes = append(next.Resumes, prefix)
	next.Pending = append(next.Pending, r.key)
	return r, true
}

// promote makes a pending key the session's current one, now that the client
// has shown that it has the key. If the record has changed otherwise meanwhile,
// the connection goes on, and the session can't be resumed with its key.
func (s *Server) promote(token Token, key *[symmetricKey]byte) error {
	ctx, cancel := context.WithTimeout(s.ctx, s.messageTimeout())
	defer cancel()
	for range MaxPending {
		record, err := s.sessions.Load(ctx, token)
		if err != nil || record == nil {
			return err
		}
		i := slices.IndexFunc(record.Pending, func(k SessionKey) bool { return k.Key == *key })
		if i < 0 {
			return nil
		}
		next := &Record{Current: record.Pending[i], Expires: record.Expires, Client: record.Client}
		swapped, err := s.sessions.CompareAndSwap(ctx, token, record, next)
		if err != nil || swapped {
			return err
		}
	}
	return nil
}
