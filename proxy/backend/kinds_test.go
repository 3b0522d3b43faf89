package backend

import (
	"reflect"
	"strings"
	"testing"

	"mkd/config"
)

// TestEveryKind compares the table with the sections of config.yaml: a section
// without a row would make no backend, and a row without a section none either.
func TestEveryKind(t *testing.T) {
	sections := make(map[string]bool)
	for _, f := range reflect.VisibleFields(reflect.TypeFor[config.Backend]()) {
		if name, option, _ := strings.Cut(f.Tag.Get("yaml"), ","); option == "kind" {
			sections[name] = true
			if _, ok := kinds[name]; !ok {
				t.Errorf("the section %s has no row in the table of kinds", name)
			}
		}
	}
	for name := range kinds {
		if !sections[name] {
			t.Errorf("the row %s has no section in config.yaml", name)
		}
	}
}

// TestNoKind: a section that isn't of exactly one kind makes no backend.
func TestNoKind(t *testing.T) {
	for _, b := range []*config.Backend{{Name: "none"}, {Name: "two", Files: new(config.Files), PHP: new(config.PHP)}} {
		if _, err := New(b, Daemon{}); err == nil || !strings.HasPrefix(err.Error(), "it must have one kind of fastcgi, ") {
			t.Errorf("%s: %v", b.Name, err)
		}
	}
}
