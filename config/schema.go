package config

import (
	"fmt"
	"reflect"
	"strings"
)

// field is what the tags of a struct field say.
type field struct {
	index    []int  // through embedded structs
	goName   string // with its struct's, as in "Web.IdleTimeout"
	key      string
	required bool
	kind     bool // one of the kinds of a union
	name     bool // holds the block's own key in a map
	def      string
	hasDef   bool
	low, top string // of the range, "" without one
	oneOf    []string
	path     pathKind
	format   string
	below    reflect.Type // of the block that it is, or of those in a map; nil: none
	short    bool         // a scalar in the place of the block is this field
	example  string       // of a block, in errors; VALUE is what was written in its place
}

// fieldsOf returns the fields of a struct that the file knows, in order, those
// of embedded structs included.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.Anonymous {
			for _, f := range fieldsOf(sf.Type) {
				f.index = append([]int{i}, f.index...)
				fields = append(fields, f)
			}
			continue
		}
		tag := sf.Tag.Get("yaml")
		if tag == "-" || !sf.IsExported() {
			continue
		}
		key, option, _ := strings.Cut(tag, ",")
		f := field{index: []int{i}, goName: t.Name() + "." + sf.Name, key: key, path: pathKind(sf.Tag.Get("path")),
			format: sf.Tag.Get("format"), example: sf.Tag.Get("example"), short: sf.Tag.Get("short") == "true"}
		f.below = belowOf(sf.Type)
		switch option {
		case "required":
			f.required = true
		case "kind":
			f.kind = true
		case "name":
			f.name = true
		}
		f.def, f.hasDef = sf.Tag.Lookup("default")
		f.low, f.top, _ = strings.Cut(sf.Tag.Get("range"), "..")
		f.oneOf = strings.Fields(sf.Tag.Get("oneof"))
		fields = append(fields, f)
	}
	return fields
}

// belowOf returns the struct of a block or of a map of blocks, nil for others.
func belowOf(t reflect.Type) reflect.Type {
	switch {
	case t.Kind() == reflect.Struct:
		return t
	case t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct,
		t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct && nameField(t.Elem()) != nil:
		return t.Elem()
	}
	return nil
}

// keysOf returns the keys of fields, those of kinds alone if kinds is set.
func keysOf(fields []field, kinds bool) []string {
	var keys []string
	for _, f := range fields {
		if !f.name && (f.kind || !kinds) {
			keys = append(keys, f.key)
		}
	}
	return keys
}

// nameField returns the index of the field that holds the name of a block, or
// nil if such blocks are in a list.
func nameField(t reflect.Type) []int {
	for i := range t.NumField() {
		if sf := t.Field(i); strings.HasSuffix(sf.Tag.Get("yaml"), ",name") {
			return sf.Index
		}
	}
	return nil
}

// setDefault sets v to the default of f. A default that can't be read is a
// mistake in this package.
func setDefault(v reflect.Value, f field) {
	if !f.hasDef {
		return
	}
	if err := parseScalar(v, f.def); err != nil {
		panic(fmt.Sprintf("config: the default of %s: %v", f.key, err))
	}
}
