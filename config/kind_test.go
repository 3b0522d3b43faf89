package config

import (
	"reflect"
	"testing"
)

// TestKinds looks for sections that can't be checked.
func TestKinds(t *testing.T) {
	for block, want := range map[reflect.Type]reflect.Type{
		reflect.TypeFor[Listener](): reflect.TypeFor[listenerKind](),
		reflect.TypeFor[Backend]():  reflect.TypeFor[kind](),
	} {
		found := 0
		for _, f := range fieldsOf(block) {
			if section := block.FieldByIndex(f.index).Type; f.kind {
				found++
				if !section.Implements(want) {
					t.Errorf("%v doesn't implement %v", section, want)
				}
			}
		}
		if found == 0 {
			t.Errorf("%v has no kinds", block)
		}
	}
}
