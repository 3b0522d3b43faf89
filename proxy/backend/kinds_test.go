package backend

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
	if rows, sections := slices.Sorted(maps.Keys(kinds)), slices.Sorted(slices.Values(config.BackendKinds())); !slices.Equal(rows, sections) {
		t.Errorf("the table of kinds has the rows %v, config.yaml the sections %v", rows, sections)
	}
}

// TestNoKind: a section that isn't of exactly one kind makes no backend.
func TestNoKind(t *testing.T) {
	for _, b := range []*config.Backend{{Name: "none"}, {Name: "two", Files: new(config.Files), PHP: new(config.PHP)}} {
		if _, err := New(b, Daemon{}); err == nil || !strings.HasPrefix(err.Error(), "it must have one kind of php, ") {
			t.Errorf("%s: %v", b.Name, err)
		}
	}
}
