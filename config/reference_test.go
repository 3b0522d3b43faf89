package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write docs/configuration.md and schema.json anew")

const referencePage = "../docs/configuration.md"

// TestReference fails if docs/configuration.md or the schema isn't what the structs say.
func TestReference(t *testing.T) {
	intro, err := os.ReadFile("testdata/intro.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(intro)
	r := reference{comments: readComments(t)}
	r.section(t, reflect.TypeFor[Config](), nil)
	page += r.page.String()
	for path, want := range map[string]string{referencePage: page, "schema.json": r.schemaOf(t).encode(t)} {
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		have, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(have) != want {
			t.Errorf("%s is stale: run go generate ./config", path)
		}
	}
}

// TestReferenceExamples loads the examples of the page, which have to be right
// and nothing odd.
func TestReferenceExamples(t *testing.T) {
	page, err := os.ReadFile("testdata/intro.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := strings.Split(string(page), "```yaml\n")[1:]
	for _, example := range examples {
		text, _, _ := strings.Cut(example, "```")
		wantWarnings(t, text, "")
	}
	if len(examples) < 3 {
		t.Errorf("the page has %d examples", len(examples))
	}
}

// readComments returns the doc comments of the structs ("Megaki") and of their
// fields ("Megaki.Address") of this package.
func readComments(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	comments := make(map[string]string)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			decl, ok := n.(*ast.GenDecl)
			if !ok || decl.Tok != token.TYPE {
				return true
			}
			for _, spec := range decl.Specs {
				typ := spec.(*ast.TypeSpec)
				comments[typ.Name.Name] = oneLine(decl.Doc)
				if s, ok := typ.Type.(*ast.StructType); ok {
					for _, f := range s.Fields.List {
						for _, name := range f.Names {
							comments[typ.Name.Name+"."+name.Name] = oneLine(f.Doc)
						}
					}
				}
			}
			return false
		})
	}
	return comments
}

func oneLine(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }

// reference writes the sections of the page.
type reference struct {
	page     strings.Builder
	comments map[string]string
}

// section writes a block and the blocks in it. path has the keys that lead to
// it, with NAME for a name.
func (r *reference) section(t *testing.T, typ reflect.Type, path []string) {
	title := "The file"
	if len(path) > 0 {
		title = "`" + strings.Join(path, ".") + "`"
	}
	fmt.Fprintf(&r.page, "\n## %s\n\n", title)
	if len(path) > 0 {
		r.page.WriteString(asKey(r.comment(t, typ.Name()), typ.Name(), path[len(path)-1]) + "\n\n")
	}
	r.page.WriteString("| key | type | default | meaning |\n| --- | --- | --- | --- |\n")
	fields := fieldsOf(typ)
	for _, f := range fields {
		if f.name {
			continue
		}
		fmt.Fprintf(&r.page, "| `%s` | %s | %s | %s |\n", f.key, typeOf(typ.FieldByIndex(f.index).Type, f), defaultOf(typ.FieldByIndex(f.index).Type, f),
			strings.ReplaceAll(r.comment(t, f.goName), "|", `\|`))
	}
	for _, f := range fields {
		if below, suffix := blockBelow(typ.FieldByIndex(f.index).Type); below != nil && below != typ { // routes have routes inside
			next := append(append([]string(nil), path...), f.key+suffix)
			if nameField(below) != nil {
				next = append(next, "NAME")
			}
			r.section(t, below, next)
		}
	}
}

// asKey puts a block's key in place of the name of its struct, with which a doc
// comment begins. Blocks of a map or a list have no key of their own.
func asKey(comment, goName, key string) string {
	rest, ok := strings.CutPrefix(comment, goName+" ")
	if !ok || key == "NAME" || strings.HasSuffix(key, "[]") {
		return comment
	}
	return "`" + key + "` " + rest
}

func (r *reference) comment(t *testing.T, name string) string {
	text := r.comments[name]
	if text == "" {
		t.Errorf("%s has no doc comment, which is its documentation", name)
	}
	return text
}

// blockBelow returns the struct that a field holds, and what follows its key in
// a path.
func blockBelow(t reflect.Type) (below reflect.Type, suffix string) {
	switch {
	case t.Kind() == reflect.Struct:
		return t, ""
	case t.Kind() == reflect.Pointer:
		return t.Elem(), ""
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		if nameField(t.Elem()) == nil {
			suffix = "[]"
		}
		return t.Elem(), suffix
	}
	return nil, ""
}

func isShort(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	_, ok := shortField(fieldsOf(t))
	return ok
}

func typeOf(t reflect.Type, f field) string {
	what := ""
	switch {
	case isShort(t):
		short, _ := shortField(fieldsOf(t))
		return typeOf(t.FieldByIndex(short.index).Type, short) + ", or block"
	case t.Kind() == reflect.Slice && isShort(t.Elem()):
		return "list of paths or blocks"
	case t == reflect.TypeFor[time.Duration]():
		what = "duration"
	case t == reflect.TypeFor[FileMode]():
		what = "mode"
	case t == reflect.TypeFor[Size]():
		what = "size"
	case t == reflect.TypeFor[Date]():
		return "date"
	case t.Kind() == reflect.Slice && len(f.oneOf) > 0:
		return "list of `" + strings.Join(f.oneOf, "`, `") + "`"
	case len(f.oneOf) > 0:
		return "`" + strings.Join(f.oneOf, "`, `") + "`"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct && nameField(t.Elem()) != nil:
		return "map of blocks"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		return "list of blocks"
	case t.Kind() == reflect.Slice && f.path != notPath:
		return "list of paths"
	case t.Kind() == reflect.Slice:
		return "list of strings"
	case t.Kind() == reflect.Map:
		return "map of strings"
	case t.Kind() == reflect.Struct && reflect.PointerTo(t).Implements(reflect.TypeFor[shortForm]()):
		return "`" + strings.Join(reflect.New(t).Interface().(shortForm).shortForms(), "`, `") + "`, or block"
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Pointer:
		return "block"
	case f.path == pathCommand:
		return "name or path"
	case f.path != notPath:
		return "path"
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.Int:
		what = "whole number"
	case t.Kind() == reflect.Float64:
		what = "number"
	case f.format == "secret":
		return "string, or `{file: PATH}`"
	default:
		return "string"
	}
	return fmt.Sprintf("%s, `%s..%s`", what, f.low, f.top)
}

func defaultOf(t reflect.Type, f field) string {
	switch {
	case f.required:
		return "required"
	case f.hasDef && f.def == "":
		return "`\"\"`"
	case f.hasDef:
		return "`" + f.def + "`"
	case f.kind, t.Kind() == reflect.Struct:
		return ""
	case t.Kind() == reflect.Pointer:
		return "off"
	}
	return "none"
}
