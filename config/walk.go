package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"gopkg.in/yaml.v3"
)

// maxNodes is how many nodes are looked at, each as often as an alias leads
// there. It bounds the work that a small file of aliases can make.
const maxNodes = 50_000

// maxDepth is how many blocks and lists may be around a value. Routes can be inside
// of routes; all else is bounded by the structs, as the value of an unknown key
// isn't looked at.
const maxDepth = 100

// maxName is the longest name of a listener or a backend, in bytes.
const maxName = 64

// walker decodes nodes into structs and collects what is wrong.
type walker struct {
	sys    system
	main   *source // the file that was loaded
	source *source // the file of the present node

	errs      []Error
	warnings  []Error
	origins   map[any]*origin        // of each field and list element, by pointer
	sources   map[*yaml.Node]*source // of the entries of sections that several files have
	written   map[*yaml.Node]string  // what the file has in place of an expanded value
	secrets   []secret               // that no message shows
	nodes     int                    // looked at
	elsewhere map[string]bool        // the paths of keys that are given at a wrong place, or misspelt
	spent     bool                   // maxNodes were looked at: nothing more counts
	within    []*yaml.Node           // the blocks and lists around the present node
	fields    map[reflect.Type][]field
}

// fieldsOf returns the fields of a struct, which it finds out once.
func (w *walker) fieldsOf(t reflect.Type) []field {
	fields, ok := w.fields[t]
	if !ok {
		fields = fieldsOf(t)
		w.fields[t] = fields
	}
	return fields
}

// origin is where the value of a field comes from.
type origin struct {
	path         string
	source       *source
	line, column int    // of the value, or of the block that it could be in
	given        bool   // not the default
	bad          bool   // an error was reported for it
	written      string // what the file has, if that has variables; else ""
}

func newWalker(sys system, main *source) *walker {
	return &walker{sys: sys, main: main, source: main, origins: make(map[any]*origin), sources: make(map[*yaml.Node]*source),
		written: make(map[*yaml.Node]string), elsewhere: make(map[string]bool), fields: make(map[reflect.Type][]field)}
}

// document decodes the root of a file.
func (w *walker) document(cfg *Config, root *yaml.Node) {
	if root, ok := w.enter(root, ""); ok && w.isBlock(root, field{}, "") {
		w.include(root)
		w.block(reflect.ValueOf(cfg).Elem(), root, &yaml.Node{Line: 1, Column: 1}, "")
	}
}

func (w *walker) errorf(n *yaml.Node, path, format string, args ...any) {
	if !w.spent {
		w.errs = append(w.errs, w.message(w.sourceOf(n).file, n.Line, n.Column, path, format, args...))
	}
}

func (w *walker) message(file string, line, column int, path, format string, args ...any) Error {
	return Error{file, line, column, path, w.redact(fmt.Sprintf(format, args...))}
}

// sourceOf returns the file that a node is in.
func (w *walker) sourceOf(n *yaml.Node) *source {
	if s := w.sources[n]; s != nil {
		return s
	}
	return w.source
}

// enter returns the node that n stands for, with its variables expanded, and false
// if it can't be used. It must be called once for each node before it is looked
// into.
func (w *walker) enter(n *yaml.Node, path string) (*yaml.Node, bool) {
	n, ok := w.follow(n, path)
	if !ok {
		return nil, false
	}
	return w.expand(n, path)
}

// follow is enter without variables.
func (w *walker) follow(n *yaml.Node, path string) (*yaml.Node, bool) {
	w.source = w.sourceOf(n)
	if w.nodes++; w.nodes > maxNodes {
		w.errorf(n, path, "with its aliases followed, the file has more than %d values; write fewer aliases", maxNodes)
		w.spent = true
	}
	if w.spent {
		return nil, false
	}
	if len(w.within) > maxDepth {
		w.errorf(n, path, "more than %d blocks and lists are around it; write them side by side", maxDepth)
		return nil, false
	}
	if n.Kind == yaml.AliasNode {
		if slices.Contains(w.within, n.Alias) {
			w.errorf(n, path, "the alias *%s is inside of what it names; write the value out", n.Value)
			return nil, false
		}
		n = n.Alias
	}
	if n.Style&yaml.TaggedStyle != 0 {
		w.errorf(n, path, "the tag %s isn't taken; write the value without it, in quotes if it is a string", quote(n.Tag))
		return nil, false
	}
	return n, true
}

// pair is a key of a block with its value.
type pair struct{ key, value *yaml.Node }

// isBlock checks that n has keys. A block of comments alone is an empty one.
func (w *walker) isBlock(n *yaml.Node, f field, path string) bool {
	if n.Kind == yaml.MappingNode || isNull(n) {
		return true
	}
	w.errorf(n, path, "got %s; want keys with values, as in %s", w.describe(n), exampleOf(f.example, n))
	return false
}

// pairs returns the keys of a block, in order, without those that are wrong.
func (w *walker) pairs(n *yaml.Node, path string) (pairs []pair, ok bool) {
	ok = true
	first := make(map[string]*yaml.Node)
	for i := 0; i+1 < len(n.Content); i += 2 {
		at := n.Content[i]
		key, entered := w.follow(at, path)
		switch {
		case !entered:
			ok = false
			continue
		case key.Kind != yaml.ScalarNode:
			w.errorf(at, path, "got %s as a key; a key is a word", w.describe(key))
			ok = false
			continue
		case key.Tag == "!!merge":
			w.errorf(at, join(path, "<<"), "merge keys aren't taken; write out the keys that are merged in")
			ok = false
			continue
		}
		if f := first[key.Value]; f != nil {
			if other := w.sourceOf(f); other != w.sourceOf(at) {
				w.errorf(at, join(path, key.Value), "duplicate key; the first is in %s:%d:%d", other.file, f.Line, f.Column)
			} else {
				w.errorf(at, join(path, key.Value), "duplicate key; the first is in line %d, column %d", f.Line, f.Column)
			}
			ok = false
			continue
		}
		first[key.Value] = at
		named := &yaml.Node{Value: key.Value, Line: at.Line, Column: at.Column}
		if s := w.sources[at]; s != nil {
			w.sources[named] = s
		}
		pairs = append(pairs, pair{named, n.Content[i+1]})
	}
	return pairs, ok
}

// block decodes n into the struct v. n is nil if the block isn't given, and at
// is where it is, or could be.
func (w *walker) block(v reflect.Value, n, at *yaml.Node, path string) bool {
	fields := w.fieldsOf(v.Type())
	var given map[string]pair
	good, unknown := true, false
	if n != nil {
		given, unknown, good = w.given(fields, n, path)
		w.within = append(w.within, n)
		defer func() { w.within = w.within[:len(w.within)-1] }()
	}
	var kinds []pair
	for _, f := range fields {
		if f.name {
			continue
		}
		fv := v.FieldByIndex(f.index)
		p, ok := given[f.key]
		o := &origin{path: join(path, f.key), source: w.sourceOf(at), line: at.Line, column: at.Column, given: ok}
		w.origins[fv.Addr().Interface()] = o
		setDefault(fv, f)
		if f.path == pathNew && !ok {
			fv.SetString(w.source.path(f.def))
		}
		switch {
		case ok:
			o.line, o.column = p.value.Line, p.value.Column
			o.bad = !w.value(fv, f, p.value, p.key, o.path)
			if f.kind {
				kinds = append(kinds, p)
			}
		case f.required && w.elsewhere[o.path]:
			// It was reported.
		case f.required:
			w.errorf(at, o.path, "the key is missing, and must be given")
			o.bad = true
		case fv.Kind() == reflect.Struct:
			o.bad = !w.block(fv, nil, at, o.path)
		}
		o.bad = o.bad || w.elsewhere[o.path]
		good = good && !o.bad
	}
	return w.oneKind(fields, kinds, unknown, at, path) && good
}

// given returns the fields that the block n gives, by key, and whether there
// are unknown keys and whether all is well. What an unknown key was probably
// meant to be isn't required any more: one error is enough.
func (w *walker) given(fields []field, n *yaml.Node, path string) (given map[string]pair, unknown, good bool) {
	keys := keysOf(fields, false)
	given = make(map[string]pair)
	pairs, good := w.pairs(n, path)
	empty := emptyBlocks(fields, pairs)
	for _, p := range pairs {
		i := slices.IndexFunc(fields, func(f field) bool { return !f.name && f.key == p.key.Value })
		if i >= 0 {
			given[p.key.Value] = p
			continue
		}
		unknown, good = true, false
		if i := slices.IndexFunc(empty, func(f field) bool { return f.holds(p) }); i >= 0 {
			within := join(path, empty[i].key)
			w.errorf(p.key, join(path, p.key.Value), "it belongs in %s; indent this line more than %[1]s", empty[i].key)
			w.elsewhere[within], w.elsewhere[join(within, p.key.Value)] = true, true
			continue
		}
		meant := w.suggest(p.key.Value, keys)
		w.errorf(p.key, join(path, p.key.Value), "unknown key%s", didYouMean(meant, keys))
		if meant != "" {
			w.elsewhere[join(path, meant)] = true
		}
	}
	return given, unknown, good
}

// emptyBlocks returns the fields whose blocks are given without a value. What
// follows them was perhaps meant to be in them.
func emptyBlocks(fields []field, pairs []pair) (empty []field) {
	for _, p := range pairs {
		i := slices.IndexFunc(fields, func(f field) bool { return !f.name && f.key == p.key.Value })
		if i >= 0 && fields[i].below != nil && isNull(p.value) {
			empty = append(empty, fields[i])
		}
	}
	return empty
}

// holds reports whether an unknown key of the block's parent is a key of the block
// f, or could be a name in it.
func (f field) holds(p pair) bool {
	if nameField(f.below) != nil {
		return p.value.Kind == yaml.MappingNode
	}
	return slices.Contains(keysOf(fieldsOf(f.below), false), p.key.Value)
}

// oneKind checks that a block has exactly one of the kinds that it may have.
func (w *walker) oneKind(fields []field, kinds []pair, unknown bool, at *yaml.Node, path string) bool {
	may := keysOf(fields, true)
	switch {
	case len(may) == 0 || len(kinds) == 1:
		return true
	case len(kinds) == 0:
		if !unknown { // the unknown key was meant to be it
			w.errorf(at, path, "its kind is missing; it must have one of the keys: %s", shortList(may))
		}
		return false
	}
	slices.SortFunc(kinds, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.key.Line, b.key.Line), cmp.Compare(a.key.Column, b.key.Column))
	})
	w.errorf(kinds[1].key, path, "it has both %s and %s; keep one of them", kinds[0].key.Value, kinds[1].key.Value)
	return false
}
