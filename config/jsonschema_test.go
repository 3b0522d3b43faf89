package config

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// schema is a JSON Schema, of the keywords that are used here.
type schema struct {
	Version     string             `json:"$schema,omitempty"`
	Ref         string             `json:"$ref,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        any                `json:"type,omitempty"`
	Enum        []any              `json:"enum,omitempty"`
	Default     any                `json:"default,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Minimum     json.Number        `json:"minimum,omitempty"`
	Maximum     json.Number        `json:"maximum,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	MinItems    int                `json:"minItems,omitempty"`
	Names       *schema            `json:"propertyNames,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Additional  any                `json:"additionalProperties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	AnyOf       []*schema          `json:"anyOf,omitempty"`
	OneOf       []*schema          `json:"oneOf,omitempty"`
	AllOf       []*schema          `json:"allOf,omitempty"`
	Definitions map[string]*schema `json:"definitions,omitempty"`
}

// The definitions that all values share.
var (
	byVariable = &schema{Ref: "#/definitions/variable"}
	bySecret   = &schema{Ref: "#/definitions/secret"}
)

// schemaOf returns the schema of the file.
func (r *reference) schemaOf(t *testing.T) *schema {
	s := schemaWriter{reference: r, definitions: map[string]*schema{
		"variable": {Description: "A value with variables of the environment.", Type: "string", Pattern: `\$\{`},
		"secret": {Description: "A file that has the value.", Type: "object", Properties: map[string]*schema{"file": {Type: "string"}},
			Required: []string{"file"}, Additional: false},
	}}
	root := s.block(t, reflect.TypeFor[Config]())
	root.Version, root.Title, root.Definitions = "http://json-schema.org/draft-07/schema#", "config.yaml of mkd", s.definitions
	// A file that others are included in, or that is included, may have any of the
	// three, and none in it.
	root.Required = nil
	root.Properties["routes"].Type, root.Properties["routes"].MinItems = []string{"array", "null"}, 0
	return root
}

// schemaWriter makes schemas of structs.
type schemaWriter struct {
	*reference
	definitions map[string]*schema
	within      []reflect.Type
}

// block returns the schema of a struct's keys. A struct that contains itself becomes
// a definition.
func (s *schemaWriter) block(t *testing.T, typ reflect.Type) *schema {
	self := &schema{Ref: "#/definitions/" + typ.Name()}
	if slices.Contains(s.within, typ) {
		s.definitions[typ.Name()] = nil
		return self
	}
	s.within = append(s.within, typ)
	defer func() { s.within = s.within[:len(s.within)-1] }()
	b := &schema{Type: "object", Properties: make(map[string]*schema), Additional: false}
	for _, f := range fieldsOf(typ) {
		if f.name {
			continue
		}
		b.Properties[f.key] = s.field(t, typ.FieldByIndex(f.index).Type, f)
		if f.required {
			b.Required = append(b.Required, f.key)
		}
		if f.kind {
			b.OneOf = append(b.OneOf, &schema{Required: []string{f.key}})
		}
	}
	if len(b.Required) == 0 && len(b.OneOf) == 0 {
		b.Type = []string{"object", "null"}
	}
	if _, itself := s.definitions[typ.Name()]; itself {
		s.definitions[typ.Name()] = b
		return self
	}
	return b
}

// field returns the schema of a key's value, with its documentation.
func (s *schemaWriter) field(t *testing.T, typ reflect.Type, f field) *schema {
	v := s.value(t, typ, f)
	if v.Ref != "" { // beside which nothing counts
		v = &schema{AllOf: []*schema{v}}
	}
	v.Description = s.comment(t, f.goName)
	if f.hasDef && f.def != "" {
		v.Default = asJSON(typ, f.def)
	}
	return v
}

// value returns the schema of a value. It follows typeOf.
func (s *schemaWriter) value(t *testing.T, typ reflect.Type, f field) *schema {
	below, _ := blockBelow(typ)
	switch {
	case typ.Kind() == reflect.Map:
		value := &schema{AnyOf: []*schema{{Type: []string{"string", "number", "boolean"}}}}
		if f.format != "type" {
			value.AnyOf = append(value.AnyOf, bySecret)
		}
		return &schema{Type: []string{"object", "null"}, Additional: value}
	case typ.Kind() == reflect.Slice && below != nil && nameField(below) != nil:
		return &schema{Type: []string{"object", "null"}, Names: &schema{Pattern: "^[A-Za-z0-9_-]{1,64}$"}, Additional: s.block(t, below)}
	case typ.Kind() == reflect.Slice:
		list := &schema{Type: []string{"array", "null"}}
		if f.required {
			list.Type, list.MinItems = "array", 1
		}
		if below != nil {
			list.Items = s.blockOrShort(t, below)
		} else {
			list.Items = s.scalar(t, typ.Elem(), field{oneOf: f.oneOf})
		}
		return list
	case below != nil:
		return s.blockOrShort(t, below)
	}
	return s.scalar(t, typ, f)
}

// blockOrShort returns the schema of a block, and of its short form if it has one.
func (s *schemaWriter) blockOrShort(t *testing.T, typ reflect.Type) *schema {
	b := s.block(t, typ)
	if short, ok := shortField(fieldsOf(typ)); ok {
		return &schema{AnyOf: []*schema{s.scalar(t, typ.FieldByIndex(short.index).Type, short), b}}
	}
	forms, ok := reflect.New(typ).Interface().(shortForm)
	if !ok {
		return b
	}
	short := &schema{}
	for _, text := range forms.shortForms() {
		if truth, err := strconv.ParseBool(text); err == nil {
			short.Enum = append(short.Enum, truth)
		} else {
			short.Enum = append(short.Enum, text)
		}
	}
	return &schema{AnyOf: []*schema{short, b, byVariable}}
}

// scalar returns the schema of a single value.
func (s *schemaWriter) scalar(t *testing.T, typ reflect.Type, f field) *schema {
	number := &schema{Minimum: json.Number(f.low), Maximum: json.Number(f.top)}
	switch typ {
	case reflect.TypeFor[time.Duration]():
		return &schema{AnyOf: []*schema{{Type: "string", Pattern: `^\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`}, {Enum: []any{0, "0"}}, byVariable}}
	case reflect.TypeFor[Size]():
		return &schema{AnyOf: []*schema{{Type: "integer", Minimum: "0"}, {Type: "string", Pattern: "^[0-9]+(B|KiB|MiB|GiB|TiB)?$"}, byVariable}}
	case reflect.TypeFor[FileMode]():
		return &schema{AnyOf: []*schema{{Type: "integer", Minimum: "0"}, {Type: "string", Pattern: "^[0-7]{1,4}$"}, byVariable}}
	case reflect.TypeFor[Date]():
		return &schema{AnyOf: []*schema{{Type: "string", Pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}, byVariable}}
	}
	switch typ.Kind() {
	case reflect.Bool:
		return &schema{AnyOf: []*schema{{Type: "boolean"}, byVariable}}
	case reflect.Int:
		number.Type = "integer"
		return &schema{AnyOf: []*schema{number, byVariable}}
	case reflect.Float64:
		number.Type = "number"
		return &schema{AnyOf: []*schema{number, byVariable}}
	case reflect.String:
		if f.format == "secret" {
			return &schema{AnyOf: []*schema{{Type: "string"}, bySecret}}
		}
		if len(f.oneOf) == 0 {
			return &schema{Type: "string"}
		}
		list := &schema{}
		for _, word := range f.oneOf {
			list.Enum = append(list.Enum, word)
			if typ == reflect.TypeFor[TLSVersion]() { // which YAML takes for a number
				list.Enum = append(list.Enum, json.Number(word))
			}
		}
		return &schema{AnyOf: []*schema{list, byVariable}}
	}
	t.Errorf("%s: no schema for %v", f.goName, typ)
	return nil
}

// asJSON returns a default as the file has it.
func asJSON(typ reflect.Type, text string) any {
	switch {
	case typ.Kind() == reflect.Bool:
		return text == "true"
	case typ == reflect.TypeFor[int](), typ.Kind() == reflect.Float64, text == "0":
		return json.Number(text)
	}
	return text
}

// encode returns the text of a schema.
func (s *schema) encode(t *testing.T) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestJSONSchema holds all configurations of the repository against the schema, as an
// editor does.
func TestJSONSchema(t *testing.T) {
	schema := compileSchema(t)
	found := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(path) != "config.yaml" {
			return err
		}
		found++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := schema.Validate(instance(t, string(text))); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		return nil
	})
	if err != nil || found < 8 {
		t.Fatalf("%d files, %v", found, err)
	}
	intro, err := os.ReadFile("testdata/intro.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := strings.Split(string(intro), "```yaml\n")[1:]
	if len(examples) == 0 {
		t.Error("testdata/intro.md has no example")
	}
	for _, example := range examples {
		text, _, _ := strings.Cut(example, "```")
		if err := schema.Validate(instance(t, text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestJSONSchemaRefuses shows that editors mark what mkd check reports.
func TestJSONSchemaRefuses(t *testing.T) {
	schema := compileSchema(t)
	const rest = "\nbackends: {s: {files: {root: .}}}\nroutes: [{backend: s}]"
	for _, test := range []struct{ text, at string }{
		{"listeners: {a: {megaki: {adress: \":1\", keys: [k]}}}", "adress"},
		{"listeners: {a: {megaki: {address: \":1\"}}}", "keys"},
		{"listeners: {a: {http: {address: \":1\"}, megaki: {address: \":1\", keys: [k]}}}", "oneOf"},
		{"listeners: {a: {}}", "oneOf"},
		{"listeners: {a b: {http: {address: \":1\"}}}", "a b"},
		{"shutdown_timeout: 30", "shutdown_timeout"},
		{"shutdown_timeout: 1d", "shutdown_timeout"},
		{"limits: {message_memory: 1GB}", "message_memory"},
		{"log: {level: loud}", "level"},
		{"log: {access: maybe}", "access"},
		{"log: {access_rate: -1}", "access_rate"},
		{"log: {access_rate: [1]}", "access_rate"},
		{"sessions: {store: {disk: {}}}", "disk"},
		{"storage: {path: 1}", "storage"},
		{"listeners: {a: {https: {address: \":1\", tls: {internal: true, min_version: 1.1}}}}", "min_version"},
	} {
		if err := schema.Validate(instance(t, test.text)); err == nil || !strings.Contains(err.Error(), test.at) {
			t.Errorf("%s: got %v, want an error about %s", test.text, err, test.at)
		}
		// What editors mark, Load refuses too.
		text := test.text + rest
		if !strings.HasPrefix(text, "listeners") {
			text = minimal + test.text
		}
		if _, err := parse("config.yaml", []byte(text), ".", fakeStat); err == nil {
			t.Errorf("%s: Load takes it", text)
		}
	}
	for _, text := range []string{
		"log: {access_rate: \"${RATE}\", level: \"${LEVEL:-info}\", access: \"${ACCESS}\"}",
		"shutdown_timeout: 1h30m\ndrain_delay: 0\nlimits:\n",
		"shutdown_timeout: +5s\ndrain_delay: 5μs\n",
		"backends: {}\n",
		"listeners:\nbackends:\nroutes:\n", // of an included file
		"limits: {message_memory: 1048576}\nlog: {output: {file: mkd.log, mode: 0640}, access: false}",
		"listeners: {a: {megaki: {address: \":1\", keys: [k, {file: b, sunset: 2027-06-30}]}}}",
		"backends: {s: {php: {script: a, env: {A: 1, B: {file: b}}}}}",
		"listeners: {a: {https: {address: \":1\", tls: {internal: true, min_version: 1.3}}}}",
		"routes: [{match: {not: {paths: [/a]}}, routes: [{routes: [{backend: s}]}]}]",
	} {
		if err := schema.Validate(instance(t, text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(JSONSchema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// instance returns what an editor sees of a YAML text: YAML 1.2 has no dates.
func instance(t *testing.T, text string) any {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var dates func(n *yaml.Node)
	dates = func(n *yaml.Node) {
		if n.Tag == "!!timestamp" {
			n.Tag = "!!str"
		}
		for _, below := range n.Content {
			dates(below)
		}
	}
	dates(&doc)
	var value any
	if err := doc.Decode(&value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if value, err = jsonschema.UnmarshalJSON(strings.NewReader(string(encoded))); err != nil {
		t.Fatal(err)
	}
	return value
}
