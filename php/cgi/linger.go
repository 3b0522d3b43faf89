package cgi

import (
	"slices"
	"time"
)

// Bounds of how often the Server looks for requests without a client.
const (
	minLingerPeriod = 20 * time.Millisecond
	maxLingerPeriod = 15 * time.Second
)

// lingering is a request that goes on in a process although its client has left.
type lingering struct {
	p     *cgiProcess
	inode uint32 // of the connection
}

// watchLingering kills the processes that go on for too long with a request
// whose client has left. It returns when all processes have ended.
func (s *Server) watchLingering() {
	ticker := time.NewTicker(min(maxLingerPeriod, max(minLingerPeriod, s.opt.Linger/8)))
	defer ticker.Stop()
	since := make(map[lingering]time.Time)
	logged := false
	for {
		select {
		case <-ticker.C:
		case <-s.exited:
			return
		}
		found, err := s.findLingering()
		if err != nil && !logged {
			logged = true
			s.log.Warn("php-cgi may go on for ever with a request whose client has left: mkd can't find the process that has it; "+
				"that takes sock_diag(7) and /proc", "error", err)
		}
		since = s.killLingering(found, since)
	}
}

// findLingering returns the requests that go on without a client now.
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
		case <-p.Exited(): // otherwise the number is still its own
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

// killLingering kills the processes of requests that were found for Linger, and
// returns since when each of the requests is known.
func (s *Server) killLingering(found []lingering, since map[lingering]time.Time) map[lingering]time.Time {
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
