package config

import (
	"reflect"
	"slices"

	"gopkg.in/yaml.v3"
)

// shortField returns the field of a block that a scalar in its place is.
func shortField(fields []field) (field, bool) {
	i := slices.IndexFunc(fields, func(f field) bool { return f.short })
	if i < 0 {
		return field{}, false
	}
	return fields[i], true
}

// blockOrShort decodes n into the struct v: a block, or a scalar that is short for one.
func (w *walker) blockOrShort(v reflect.Value, f field, n, at *yaml.Node, path string) bool {
	short, ok := shortField(w.fieldsOf(v.Type()))
	if !ok || n.Kind == yaml.MappingNode || isNull(n) {
		return w.isBlock(n, f, path) && w.block(v, n, at, path)
	}
	w.block(v, nil, at, path) // the other fields have their defaults
	fv := v.FieldByIndex(short.index)
	o := w.origins[fv.Addr().Interface()]
	o.path, o.line, o.column, o.given = path, n.Line, n.Column, true
	short.required, short.hasDef = true, short.def != ""
	o.bad = !w.scalar(fv, short, n, path)
	return !o.bad
}
