package proxy

import (
	"mkd/admin"
	"mkd/megaki"
)

// megakiStatus returns the state of a Megaki listener.
func megakiStatus(s *megaki.Stats) *admin.Megaki {
	m := &admin.Megaki{
		Live: s.Live, RSABusy: s.RSABusy, RSAWaiting: s.RSAWaiting, RSASlots: s.RSASlots,
		Handshakes: make(map[string]uint64), Resumptions: make(map[string]uint64),
	}
	for o := range megaki.NumOutcomes {
		if o.Resumption() {
			m.Resumptions[o.String()] = s.Outcomes[o]
		} else {
			m.Handshakes[o.String()] = s.Outcomes[o]
		}
	}
	for _, k := range s.Keys {
		m.Keys = append(m.Keys, admin.ServerKey{
			ID: k.ID.String()[:keyDigits], Retired: k.Retired, Live: k.Live, Handshakes: k.Handshakes, Resumes: k.Resumes, LastSeen: utc(k.Last),
		})
	}
	return m
}
