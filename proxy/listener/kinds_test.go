package listener

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"mkd/config"
)

// TestEveryKind: each kind of config.yaml has a row in the table, which builds it, and no
// other one has.
func TestEveryKind(t *testing.T) {
	if rows, sections := slices.Sorted(maps.Keys(kinds)), slices.Sorted(slices.Values(config.ListenerKinds())); !slices.Equal(rows, sections) {
		t.Errorf("the table of kinds has the rows %v, config.yaml the sections %v", rows, sections)
	}
}

// TestNoKind: a section that isn't of exactly one kind makes no listener.
func TestNoKind(t *testing.T) {
	for _, l := range []*config.Listener{{Name: "none"}, {Name: "two", HTTP: new(config.HTTP), Megaki: new(config.Megaki)}} {
		if _, err := new(Listener).Prepare(l, new(Daemon)); err == nil || !strings.HasPrefix(err.Error(), "it must have one kind of megaki, ") {
			t.Errorf("%s: %v", l.Name, err)
		}
	}
}
