package megaki

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// Outcome is how the first packets of a connection ended.
type Outcome int

// The outcomes. What isn't a Handshake is a resumption.
const (
	HandshakeDone    Outcome = iota
	HandshakeLimited         // AllowHandshake refused it
	HandshakeBusy            // too many were waiting for RSA work
	HandshakeTimeout         // HandshakeTimeout passed
	HandshakeInvalid         // packets that aren't genuine, or not of this protocol
	HandshakeRetired         // the client pins a retired key
	HandshakeGone            // the client left, or the connection broke
	ResumeDone
	ResumeRefused // the client has to do a handshake
	NumOutcomes
)

func (o Outcome) String() string {
	return [NumOutcomes]string{"done", "rate_limited", "busy", "timeout", "invalid", "retired_key", "gone", "done", "refused"}[o]
}

// Resumption reports whether the outcome is that of a resumption.
func (o Outcome) Resumption() bool { return o >= ResumeDone }

// Stats is the state of a Server, and what it has counted since its start.
type Stats struct {
	Connections int // that are open
	Live        int // of these, with a session
	Parked      int // of these, at rest: no goroutine waits for their next message
	Outcomes    [NumOutcomes]uint64
	Keys        []KeyStats // in the order of Server.Keys
	RSABusy     int        // handshakes whose RSA work is being done
	RSAWaiting  int        // handshakes that wait for it
	RSASlots    int        // how many may do it at once
}

// KeyStats are the clients that pin a server key.
type KeyStats struct {
	ID         KeyID
	Retired    bool
	Live       int    // sessions that have a connection
	Handshakes uint64 // those refused because the key is retired included
	Resumes    uint64
	Last       time.Time // a handshake or resumption; zero: there was none
}

// Add adds the state of another Server, such as one with other settings that serves
// the same listener. The keys that both have are counted together.
func (s *Stats) Add(other *Stats) {
	s.Connections += other.Connections
	s.Live += other.Live
	s.Parked += other.Parked
	for i := range s.Outcomes {
		s.Outcomes[i] += other.Outcomes[i]
	}
	s.RSABusy, s.RSAWaiting = s.RSABusy+other.RSABusy, s.RSAWaiting+other.RSAWaiting
	for _, k := range other.Keys {
		i := slices.IndexFunc(s.Keys, func(own KeyStats) bool { return own.ID == k.ID })
		if i < 0 {
			s.Keys = append(s.Keys, k)
			continue
		}
		own := &s.Keys[i]
		own.Live, own.Handshakes, own.Resumes = own.Live+k.Live, own.Handshakes+k.Handshakes, own.Resumes+k.Resumes
		if k.Last.After(own.Last) {
			own.Last = k.Last
		}
	}
}

// serverStats counts for a Server.
type serverStats struct {
	live     atomic.Int64
	outcomes [NumOutcomes]atomic.Uint64
}

// keyStats counts for a serverKey.
type keyStats struct {
	live                atomic.Int64
	handshakes, resumes atomic.Uint64
	last                atomic.Int64 // seconds since 1970
}

// Stats returns the state of the server.
func (s *Server) Stats() Stats {
	if s.init() != nil {
		return Stats{}
	}
	st := Stats{Connections: s.Connections(), Live: int(s.stats.live.Load())}
	s.lot.mu.Lock()
	st.Parked = len(s.lot.resting)
	s.lot.mu.Unlock()
	for i := range s.stats.outcomes {
		st.Outcomes[i] = s.stats.outcomes[i].Load()
	}
	for _, key := range s.keys {
		k := KeyStats{ID: key.id, Retired: key.retired, Live: int(key.stats.live.Load()),
			Handshakes: key.stats.handshakes.Load(), Resumes: key.stats.resumes.Load()}
		if at := key.stats.last.Load(); at > 0 {
			k.Last = time.Unix(at, 0)
		}
		st.Keys = append(st.Keys, k)
	}
	st.RSABusy, st.RSAWaiting, st.RSASlots = s.slots.status()
	return st
}

// status returns how many slots are taken, how many handshakes wait for one, and
// how many slots there are.
func (s *slots) status() (busy, waiting, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size - s.free, s.queue.Len(), s.size
}

// began counts how a handshake or resumption ended. It returns what has to be
// called when the session's connection ends.
func (s *Server) began(a *agreement, err error) (o Outcome, ended func()) {
	switch {
	case err != nil:
		o = outcomeOf(err)
	case a.pending != nil:
		o = ResumeDone
	}
	s.stats.outcomes[o].Add(1)
	if err != nil {
		return o, func() {}
	}
	s.stats.live.Add(1)
	key := s.key(a.key)
	if key != nil {
		key.stats.live.Add(1)
		key.used(o)
	}
	return o, func() {
		s.stats.live.Add(-1)
		if key != nil {
			key.stats.live.Add(-1)
		}
	}
}

// key returns the key of an id, nil if a session's key isn't the server's any more.
func (s *Server) key(id KeyID) *serverKey {
	for _, key := range s.keys {
		if key.id == id {
			return key
		}
	}
	return nil
}

// used counts a handshake or resumption of a client that pins the key.
func (k *serverKey) used(o Outcome) {
	if o.Resumption() {
		k.stats.resumes.Add(1)
	} else {
		k.stats.handshakes.Add(1)
	}
	k.stats.last.Store(time.Now().Unix())
}

// outcomeOf returns how a handshake ended with an error.
func outcomeOf(err error) Outcome {
	switch {
	case errors.Is(err, errLimited):
		return HandshakeLimited
	case errors.Is(err, errBusy), errors.Is(err, ErrMemory):
		return HandshakeBusy
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return HandshakeTimeout
	case errors.Is(err, errRetired):
		return HandshakeRetired
	case errors.Is(err, errCrypto), errors.Is(err, errMalformed), errors.Is(err, errRefused), errors.Is(err, errVersion):
		return HandshakeInvalid
	}
	return HandshakeGone
}

// LiveSession is a session that has a connection to a server.
type LiveSession struct {
	Token    Token
	Key      KeyID // the server key that the client pins
	Client   netip.AddrPort
	Since    time.Time // when the connection was accepted
	Resumed  bool
	Messages int64
	Busy     bool // a message is in flight
}

// LiveSessions returns the sessions that have a connection, at most limit of them, in no
// order.
func (s *Server) LiveSessions(limit int) (all []LiveSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if len(all) >= limit {
			break
		}
		if c.open.Load() {
			all = append(all, LiveSession{Token: c.token, Key: c.key, Client: c.remote, Since: c.start, Resumed: c.resumed,
				Messages: c.messages.Load(), Busy: c.state.Load() == connActive})
		}
	}
	return all
}
