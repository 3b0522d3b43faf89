package megaki

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

// TestStats has connections begin in each way, and end.
func TestStats(t *testing.T) {
	var limited atomic.Bool
	s := &Server{HandshakeTimeout: time.Hour, AllowHandshake: func(netip.Addr) bool { return !limited.Load() }}
	addr := start(t, s)
	p := established(t, addr)
	p.echoes("x")
	q := p.resume(addr)
	q.echoes("y")
	q.echoes("z")
	garbage := connect(t, addr)
	syn, _ := newSYN(t, nil)
	syn[len(syn)-1] ^= 1
	garbage.refusedAfter(syn[:])
	limited.Store(true)
	syn, _ = newSYN(t, nil)
	connect(t, addr).refusedAfter(syn[:])

	outcome := func(o Outcome) uint64 { return s.Stats().Outcomes[o] }
	eventually(t, "all are counted", func() bool {
		return outcome(HandshakeDone) == 1 && outcome(ResumeDone) == 1 && outcome(HandshakeInvalid) == 1 && outcome(HandshakeLimited) == 1
	})
	st := s.Stats()
	if len(st.Keys) != 1 || st.Keys[0].Handshakes != 1 || st.Keys[0].Resumes != 1 || time.Since(st.Keys[0].Last) > time.Minute || st.Keys[0].Live != st.Live {
		t.Errorf("keys: %+v", st.Keys)
	}
	if st.RSASlots < 1 || st.RSABusy != 0 || st.RSAWaiting != 0 {
		t.Errorf("%+v", st)
	}
	found := false
	for _, l := range s.LiveSessions(10) {
		if l.Resumed {
			found = true
			if l.Messages != 2 || l.Token != q.token || !l.Client.IsValid() || l.Key != st.Keys[0].ID {
				t.Errorf("%+v", l)
			}
		}
	}
	if !found || len(s.LiveSessions(0)) != 0 {
		t.Error("the live session isn't listed, or more than the limit are")
	}
	q.Close()
	p.Close()
	eventually(t, "no session is live", func() bool { st := s.Stats(); return st.Live == 0 && st.Keys[0].Live == 0 })
}

// TestOutcomesHaveNames: handshakes and resumptions have results of their own.
func TestOutcomesHaveNames(t *testing.T) {
	seen := make(map[string]bool)
	for o := range NumOutcomes {
		name := o.String()
		if o.Resumption() {
			name += " (resumption)"
		}
		if seen[name] || o.String() == "" {
			t.Errorf("%d is named %q", o, name)
		}
		seen[name] = true
	}
}
