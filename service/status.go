package service

import (
	"runtime"
	"sync"
	"time"

	"mkd/admin"
)

// reloads counts the attempts to reload.
type reloads struct {
	mu sync.Mutex
	st admin.Reloads
}

// note notes how an attempt ended.
func (r *reloads) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.st.Last, r.st.LastError = time.Now().UTC(), ""
	if err == nil {
		r.st.Succeeded++
		return
	}
	r.st.Failed++
	r.st.LastError = err.Error()
}

func (r *reloads) status() admin.Reloads {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.st
}

// Status implements admin.Source.
func (s *service) Status() *admin.Status {
	st := s.daemon.Status()
	st.Version, st.Go, st.Config, st.Started = s.version, runtime.Version(), s.file, s.started
	st.Reloads = s.reloads.status()
	st.Generation = 1 + int(st.Reloads.Succeeded)
	if len(s.drain) > 0 && st.State != "stopping" {
		st.State, st.NotReady = "draining", append(st.NotReady, "mkd is draining")
	}
	if s.upgraded.Load() {
		st.NotReady = nil // another process serves, and this one still has a connection that asks
	}
	return st
}

// Sessions implements admin.Source.
func (s *service) Sessions(limit int) ([]admin.Session, int) { return s.daemon.Sessions(limit) }
