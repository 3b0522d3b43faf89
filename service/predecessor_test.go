package service

import (
	"encoding/gob"
	"net"
	"strings"
	"testing"

	"mkd/megaki"
)

// TestPredecessorHasEnded: that the old process was killed during an upgrade once was
// reported as a broken pipe alone.
func TestPredecessorHasEnded(t *testing.T) {
	for name, ask := range map[string]func(*predecessor) error{
		"sessions": func(p *predecessor) error { _, err := p.takeSessions(); return err },
		"ready":    func(p *predecessor) error { return p.ready(megaki.NewMemoryStore(1)) },
	} {
		reports, old := net.Pipe()
		old.Close()
		p := &predecessor{reports: reports, enc: gob.NewEncoder(reports), dec: gob.NewDecoder(reports)}
		if err := ask(p); err == nil || !strings.Contains(err.Error(), "the process that began the upgrade has ended") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
