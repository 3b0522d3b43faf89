package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// value decodes n, the value of key, into the field v.
func (w *walker) value(v reflect.Value, f field, n, key *yaml.Node, path string) bool {
	defer func(outer *source) { w.source = outer }(w.source) // what follows may be in another file
	n, ok := w.enter(n, path)
	if !ok {
		return false
	}
	switch v.Kind() {
	case reflect.Struct:
		if short, ok := v.Addr().Interface().(shortForm); ok && n.Kind == yaml.ScalarNode && !isNull(n) {
			return w.short(v, short, f, n, key, path)
		}
		return w.blockOrShort(v, f, n, key, path)
	case reflect.Pointer:
		made := reflect.New(v.Type().Elem())
		if short, ok := made.Interface().(shortForm); ok && n.Kind == yaml.ScalarNode && !isNull(n) {
			if ok = w.short(made.Elem(), short, f, n, key, path); ok {
				v.Set(made)
			}
			return ok
		}
		if !w.isBlock(n, f, path) {
			return false
		}
		v.Set(made)
		w.origins[made.Interface()] = w.origins[v.Addr().Interface()]
		return w.block(v.Elem(), n, key, path)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct && nameField(v.Type().Elem()) != nil {
			return w.named(v, f, n, key, path)
		}
		return w.list(v, f, n, key, path)
	case reflect.Map:
		return w.texts(v, f, n, path)
	}
	return w.scalar(v, f, n, path)
}

// shortForm is a block that can also be written as a single value.
type shortForm interface {
	shortForms() []string // the values
	setShort(value string)
}

// short decodes the short form of a block.
func (w *walker) short(v reflect.Value, short shortForm, f field, n, key *yaml.Node, path string) bool {
	forms := short.shortForms()
	if !slices.Contains(forms, n.Value) {
		w.errorf(n, path, "got %s; want %s, or keys with values, as in %s", w.describe(n), strings.Join(forms, ", "), exampleOf(f.example, n))
		return false
	}
	good := w.block(v, nil, key, path)
	short.setShort(n.Value)
	return good
}

// named decodes a map of blocks into a slice of structs that hold their names.
func (w *walker) named(v reflect.Value, f field, n, key *yaml.Node, path string) bool {
	if !w.isBlock(n, f, path) {
		return false
	}
	pairs, good := w.pairs(n, path)
	if len(pairs) == 0 {
		if good && f.required && !w.elsewhere[path] {
			w.errorf(key, path, "it is empty; it must have one entry at least")
			good = false
		}
		return good && !w.elsewhere[path]
	}
	w.within = append(w.within, n)
	defer func() { w.within = w.within[:len(w.within)-1] }()
	// Made in one piece, because origins know the elements by their addresses.
	v.Set(reflect.MakeSlice(v.Type(), len(pairs), len(pairs)))
	kinds := keysOf(w.fieldsOf(f.below), true)
	for i, p := range pairs {
		elem, at := v.Index(i), join(path, p.key.Value)
		elem.FieldByIndex(nameField(elem.Type())).SetString(p.key.Value)
		w.origins[elem.Addr().Interface()] = &origin{path: at, source: w.sourceOf(p.key), line: p.key.Line, column: p.key.Column, given: true}
		if !isName(p.key.Value) {
			w.errorf(p.key, at, "a name has letters, digits, - and _ only, and %d at most", maxName)
			good = false
		}
		switch {
		case i > 0 && isNull(pairs[i-1].value) && slices.Contains(kinds, p.key.Value):
			w.errorf(p.key, at, "it belongs in %s; indent this line more than %[1]s", pairs[i-1].key.Value)
			good = false
			continue
		case isNull(p.value) && i+1 < len(pairs) && slices.Contains(kinds, pairs[i+1].key.Value):
			continue // reported with the next
		}
		value, ok := w.enter(p.value, at)
		good = ok && w.isBlock(value, field{}, at) && w.block(elem, value, p.key, at) && good
	}
	return good
}

// list decodes a list of structs or of strings.
func (w *walker) list(v reflect.Value, f field, n, key *yaml.Node, path string) bool {
	if n.Kind != yaml.SequenceNode && !isNull(n) {
		w.errorf(n, path, "got %s; want a list%s", w.describe(n), asList(n, f))
		return false
	}
	if len(n.Content) == 0 {
		if f.required {
			w.errorf(key, path, "it is empty; it must have one entry at least")
		}
		return !f.required
	}
	w.within = append(w.within, n)
	defer func() { w.within = w.within[:len(w.within)-1] }()
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	good := true
	for i, item := range n.Content {
		elem, at := v.Index(i), fmt.Sprintf("%s[%d]", path, i)
		o := &origin{path: at, source: w.sourceOf(item), line: item.Line, column: item.Column, given: true}
		w.origins[elem.Addr().Interface()] = o
		value, ok := w.enter(item, at)
		switch {
		case !ok:
			o.bad = true
		case elem.Kind() == reflect.Struct:
			o.bad = !w.blockOrShort(elem, f, value, item, at)
		default:
			o.bad = !w.scalar(elem, field{key: f.key, required: true, path: f.path, format: f.format, oneOf: f.oneOf}, value, at)
		}
		good = good && !o.bad
	}
	return good
}

// texts decodes a map of strings, in which numbers and bools count as they are
// written.
func (w *walker) texts(v reflect.Value, f field, n *yaml.Node, path string) bool {
	if !w.isBlock(n, f, path) {
		return false
	}
	pairs, good := w.pairs(n, path)
	if len(pairs) == 0 {
		return good
	}
	w.within = append(w.within, n)
	defer func() { w.within = w.within[:len(w.within)-1] }()
	v.Set(reflect.MakeMap(v.Type()))
	for _, p := range pairs {
		at := join(path, p.key.Value)
		value, ok := w.enter(p.value, at)
		if ok && value.Kind == yaml.MappingNode && f.format != "type" {
			value, ok = w.secret(value, at)
		}
		switch {
		case !ok:
			good = false
			continue
		case value.Kind != yaml.ScalarNode || isNull(value):
			w.errorf(p.value, at, `got %s; want a string ("" for an empty one) or a number`, w.describe(value))
			good = false
			continue
		}
		if err := checkText(f.format, p.key.Value, value.Value); err != nil {
			w.errorf(p.key, at, "%v", err) // none of these repeats a value
			good = false
		}
		v.SetMapIndex(reflect.ValueOf(p.key.Value), reflect.ValueOf(value.Value))
	}
	return good
}

// scalar decodes a single value.
func (w *walker) scalar(v reflect.Value, f field, n *yaml.Node, path string) bool {
	if f.format == "secret" && n.Kind == yaml.MappingNode {
		value, ok := w.secret(n, path)
		if !ok {
			return false
		}
		n = value
	}
	want, tags := wanted(v)
	if kind, example, _ := strings.Cut(f.format, " "); kind == "address" {
		want = "a string such as 127.0.0.1:" + cmp.Or(example, "6363")
	}
	if n.Kind != yaml.ScalarNode || !isExpanded(n) && !slices.Contains(tags, n.Tag) {
		hint := ""
		if v.Kind() == reflect.String {
			hint = quoted(n)
		}
		w.errorf(n, path, "got %s; want %s%s", w.describe(n), want, hint)
		return false
	}
	w.origins[v.Addr().Interface()].written = w.written[n]
	err := parseScalar(v, n.Value)
	if err != nil && isExpanded(n) {
		err = fmt.Errorf("want %s", want)
	}
	if err == nil {
		err = checkRange(v, f)
	}
	if err != nil {
		w.errorf(n, path, "got %s; %v", w.describe(n), err)
		return false
	}
	if v.Kind() == reflect.String {
		return w.text(v, f, n, path)
	}
	return true
}

// wanted returns what a value of v's type looks like, and the YAML types that
// it may have.
func wanted(v reflect.Value) (want string, tags []string) {
	switch v.Interface().(type) {
	case time.Duration:
		return "a duration such as 10s", []string{"!!str", "!!int", "!!float"}
	case Size:
		return "a size such as 1MiB", []string{"!!str", "!!int", "!!float"}
	case FileMode:
		return "a mode such as 0640", []string{"!!int", "!!str"}
	case Date:
		return "a date such as 2027-06-30", []string{"!!timestamp", "!!str"}
	case TLSVersion:
		return "a version such as 1.3", []string{"!!float", "!!str"}
	case bool:
		return "true or false", []string{"!!bool"}
	case int:
		return "a whole number", []string{"!!int", "!!float"}
	case float64:
		return "a number", []string{"!!int", "!!float"}
	}
	return "a string", []string{"!!str"}
}
