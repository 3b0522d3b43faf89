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
	rows := map[string]func(*config.Backend) bool{}
	for _, k := range kinds {
		rows[k.name] = k.has
	}
	sections := reflect.TypeFor[config.Backend]()
	for i := range sections.NumField() {
		name, option, _ := strings.Cut(sections.Field(i).Tag.Get("yaml"), ",")
		if option != "kind" {
			continue
		}
		has := rows[name]
		if has == nil {
			t.Errorf("the section %s has no row in the table of kinds", name)
			continue
		}
		delete(rows, name)
		b := reflect.New(sections).Elem()
		if has(b.Addr().Interface().(*config.Backend)) {
			t.Errorf("%s: a backend without a section has it", name)
		}
		b.Field(i).Set(reflect.New(sections.Field(i).Type.Elem()))
		for _, k := range kinds {
			if k.has(b.Addr().Interface().(*config.Backend)) != (k.name == name) {
				t.Errorf("%s: the row %s takes it for its own: %t", name, k.name, k.name != name)
			}
		}
	}
	for name := range rows {
		t.Errorf("the row %s has no section in config.yaml", name)
	}
}
