package admin

import (
	"sync"
	"time"
)

// fakeSource is a daemon with a state that a test sets.
type fakeSource struct {
	mu       sync.Mutex
	st       Status
	sessions []Session
}

func (f *fakeSource) Status() *Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	st := f.st
	st.Now = time.Now().UTC()
	return &st
}

func (f *fakeSource) Sessions(limit int) ([]Session, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sessions[:min(limit, len(f.sessions))], len(f.sessions)
}

// change changes the state.
func (f *fakeSource) change(by func(*Status)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	by(&f.st)
}
