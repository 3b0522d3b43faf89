package cgi

import (
	"slices"
	"time"
)

// Bounds of how often requests without a client are looked for.
const (
	minLingerPeriod = 20 * time.Millisecond
	maxLingerPeriod = 15 * time.Second
)

// lingering is a request that goes on in a process though its client is gone.
type lingering struct {
	p     *cgiProcess
	inode uint32 // of the connection
}

// watchLingering kills the processes that go on for too long with a request
// whose client is gone, until all processes have ended.
func (s *Server) watchLingering() {
	ticker := time.NewTicker(min(maxLingerPeriod, max(minLingerPeriod, s.opt.Linger/8)))
	defer ticker.Stop()
	since := make(map[lingering]time.Time)
	told := false
	for {
		select {
		case <-ticker.C:
		case <-s.gone:
			return
		}
		found, err := s.findLingering()
		if err != nil && !told {
			told = true
			s.log.Warn("php-cgi may go on for ever with a request whose client is gone: which process has it can't be found out; "+
				"that takes sock_diag(7) and /proc", "error", err)
		}
		since = s.endLingering(found, since)
	}
}

// findLingering returns the requests that go on without a client at the moment.
func (s *Server) findLingering() ([]lingering, error) {
	all, err := listSockets(s.address)
	if err != nil {
		return nil, err
	}
	var orphans []uint32
	for _, a := range all.accepted {
		if a.orphan {
			orphans = append(orphans, a.inode)
		}
	}
	if len(orphans) == 0 {
		return nil, nil
	}
	s.mu.Lock()
	processes := s.list()
	s.mu.Unlock()
	var found []lingering
	for _, p := range processes {
		open, e := openSockets(p.PID, s.identity.Credential())
		select {
		case <-p.Exited(): // if not, the number is still its own
			continue
		default:
		}
		if e != nil {
			err = e
		}
		for _, inode := range open {
			if slices.Contains(orphans, inode) {
				found = append(found, lingering{p, inode})
			}
		}
	}
	return found, err
}

// endLingering kills the processes of what was found for long enough, and
// returns since when the rest was found.
func (s *Server) endLingering(found []lingering, since map[lingering]time.Time) map[lingering]time.Time {
	next := make(map[lingering]time.Time, len(found))
	for _, l := range found {
		first, known := since[l]
		if !known {
			first = time.Now()
		}
		if lingers := time.Since(first); lingers >= s.opt.Linger && !l.p.lingered.Swap(true) {
			s.lingered.Add(1)
			l.p.Output.Log().Warn("php-cgi is killed: it goes on with a request whose client has closed the connection", "since", lingers)
			l.p.Kill()
		}
		next[l] = first
	}
	return next
}
