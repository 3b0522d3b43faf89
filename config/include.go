package config

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxIncluded is how many files a configuration includes.
const maxIncluded = 1000

// included are the sections that an included file can have.
var included = []string{"listeners", "backends", "routes"}

// source is a file of the configuration.
type source struct {
	file string // its name in errors
	dir  string // where its relative paths start
}

// include puts the sections of the included files into those of root, the main
// file. The entries of a section keep their files in w.sources.
func (w *walker) include(root *yaml.Node) {
	patterns := sectionOf(root, "include")
	if patterns == nil || patterns.Kind != yaml.SequenceNode { // the walker reports it
		return
	}
	for _, s := range included {
		w.mark(sectionOf(root, s), w.source)
	}
	// Routes of included files come first: the last routes of the main file often
	// take all that is left.
	var routes []*yaml.Node
	seen := map[string]bool{filepath.Clean(w.source.file): true}
	for _, n := range patterns.Content {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		for _, file := range w.matching(n) {
			if seen[file] {
				continue // by an earlier pattern
			}
			seen[file] = true
			if len(seen) > maxIncluded+1 {
				w.errorf(n, "include", "more than %d files are included", maxIncluded)
				return
			}
			routes = append(routes, w.merge(root, file, n)...)
		}
	}
	if len(routes) == 0 {
		return
	}
	if own := sectionOf(root, "routes"); own == nil {
		addSection(root, "routes", &yaml.Node{Kind: yaml.SequenceNode, Line: 1, Column: 1, Content: routes})
	} else if own.Kind == yaml.SequenceNode {
		own.Content = append(routes, own.Content...)
	}
}

// matching returns the files that an entry of include names, in order.
func (w *walker) matching(n *yaml.Node) []string {
	name, _, err := expand(n.Value, w.sys.getenv)
	if err != nil || n.Kind != yaml.ScalarNode || name == "" || strings.ContainsRune(name, 0) {
		return nil // the walker reports it
	}
	pattern := w.source.path(name)
	if !strings.ContainsAny(name, wildcards) {
		return []string{pattern}
	}
	files, err := w.sys.glob(pattern)
	var unreadable *fs.PathError
	if errors.As(err, &unreadable) {
		w.errorf(n, "include", "can't read %s: %v", quotePath(unreadable.Path), unreadable.Err)
	} else if err != nil {
		w.errorf(n, "include", "%s isn't a pattern of file names, as in sites/*.yaml", quote(n.Value))
	}
	files = slices.DeleteFunc(files, func(file string) bool { return hiddenFrom(pattern, file) })
	slices.Sort(files)
	return files
}

// hiddenFrom reports whether a wildcard of a pattern matched a name that begins with a
// dot.
func hiddenFrom(pattern, file string) bool {
	names := strings.Split(file, "/")
	for i, p := range strings.Split(pattern, "/") {
		if i < len(names) && strings.HasPrefix(names[i], ".") && !strings.HasPrefix(p, ".") {
			return true
		}
	}
	return false
}

// merge puts the listeners and backends of a file, which the node at names, into
// root, and returns its routes.
func (w *walker) merge(root *yaml.Node, file string, at *yaml.Node) (routes []*yaml.Node) {
	data, err := w.sys.readFile(file, maxFile)
	if err != nil {
		var cause *fs.PathError
		if errors.As(err, &cause) {
			err = cause.Err
		}
		w.errorf(at, "include", "can't read %s: %v", quotePath(file), err)
		return nil
	}
	tree, err := parseYAML(file, data)
	if err != nil {
		w.errs = append(w.errs, err.(Errors)...)
		return nil
	}
	defer func(main *source) { w.source = main }(w.source)
	w.source = &source{file, filepath.Dir(file)}
	tree, ok := w.follow(tree, "")
	if !ok || !w.isBlock(tree, field{}, "") {
		return nil
	}
	pairs, _ := w.pairs(tree, "")
	for _, p := range pairs {
		key := p.key.Value
		if !slices.Contains(included, key) {
			w.errorf(p.key, join("", key), "an included file has %s; %s", alternatives(included), whereElse(key))
			continue
		}
		section, ok := w.follow(p.value, key)
		if !ok {
			continue
		}
		w.mark(section, w.source)
		want := yaml.MappingNode
		if key == "routes" {
			want = yaml.SequenceNode
		}
		own := sectionOf(root, key)
		switch {
		case isNull(section):
		case section.Kind != want && want == yaml.MappingNode:
			w.errorf(section, key, "got %s; want names with blocks, as in the main file", w.describe(section))
		case section.Kind != want:
			w.errorf(section, key, "got %s; want a list%s", w.describe(section), asList(section, field{}))
		case key == "routes":
			routes = section.Content
		case own == nil:
			addSection(root, key, section)
		case own.Kind == want:
			own.Content = append(own.Content, section.Content...)
		}
	}
	return routes
}

// whereElse returns where a key belongs that an included file can't have.
func whereElse(key string) string {
	if key == "include" {
		return "only the main file includes others"
	}
	return key + " belongs in the main file"
}

// mark notes the file of the entries of a section.
func (w *walker) mark(section *yaml.Node, s *source) {
	if section != nil {
		for _, n := range section.Content {
			w.sources[n] = s
		}
	}
}

// sectionOf returns the value of a key of the file's root. If it is an empty block,
// or an alias of something, it becomes one that can be added to.
func sectionOf(root *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != key || root.Content[i].Kind != yaml.ScalarNode {
			continue
		}
		value := root.Content[i+1]
		if value.Kind == yaml.AliasNode {
			own := *value.Alias
			own.Content = slices.Clone(own.Content)
			value, root.Content[i+1] = &own, &own
		}
		if isNull(value) && slices.Contains(included, key) {
			value.Kind, value.Tag, value.Value = yaml.MappingNode, "!!map", ""
			if key == "routes" {
				value.Kind, value.Tag = yaml.SequenceNode, "!!seq"
			}
		}
		return value
	}
	return nil
}

func addSection(root *yaml.Node, key string, section *yaml.Node) {
	root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key, Line: 1, Column: 1}, section)
}

// path returns a path of the file as seen from the working directory.
func (s *source) path(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(s.dir, path)
}
