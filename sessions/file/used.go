package file

import (
	"sync"

	"mkd/megaki"
)

// used are the sessions that were used since a pass has seen them last. They are in two
// sets: when the newer one is full, it becomes the older one, and that is dropped. So the
// memory that they take is bounded, about 35 bytes for each session.
type used struct {
	mu           sync.Mutex
	max          int // sessions of a set
	newer, older map[megaki.Token]struct{}
}

func newUsed(max int) *used {
	return &used{max: max, newer: make(map[megaki.Token]struct{})}
}

func (u *used) add(t megaki.Token) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.newer[t] = struct{}{}; len(u.newer) >= u.max {
		u.newer, u.older = make(map[megaki.Token]struct{}), u.newer
	}
}

// take removes a session, and reports whether it was there.
func (u *used) take(t megaki.Token) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, newer := u.newer[t]
	_, older := u.older[t]
	delete(u.newer, t)
	delete(u.older, t)
	return newer || older
}
