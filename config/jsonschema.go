package config

import _ "embed"

// jsonSchema is made by the test of docs/configuration.md, from the same tags and
// comments.
//
//go:embed schema.json
var jsonSchema string

// JSONSchema returns a JSON Schema (draft-07) of config.yaml, for editors. What it
// refuses is an error of Load too. Load checks more: files, ranges of durations, names,
// and all that concerns several keys at once.
func JSONSchema() string { return jsonSchema }
