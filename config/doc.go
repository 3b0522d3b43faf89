// Package config reads config.yaml: it turns the file into a Config that is
// checked, with the defaults filled in, or reports everything that is wrong with
// it at once, each with its place.
//
// The structs of this package are the description of the file. The tags of a
// field give its key, default and range, and its doc comment is its
// documentation: docs/configuration.md is made of both. A new section is a new
// struct, a new kind of listener or backend one more pointer field. The tags
// are:
//
//	yaml:"KEY"            the key; "-" for a field that isn't in the file
//	yaml:"KEY,required"   the key must be given, and not be empty
//	yaml:"KEY,kind"       exactly one such key of a block must be given
//	yaml:",name"          the key of the block in a map
//	default:"10s"         the value if the key isn't given
//	range:"1ms..24h"      the least and the greatest value
//	oneof:"auto http raw" the values of a string
//	path:"file"           a path, relative to the folder of config.yaml; see pathKind
//	short:"true"          a scalar in the place of the block is this field
//	format:"host"         what a string, or each of a list, looks like; see checkFormat and checkText
//
// A block that is a struct always has its values, given or default; one that is
// a pointer and no kind is nil, and off, unless it is given. The fields of an
// embedded struct are keys of the struct that it is in.
//
// The YAML is parsed into nodes by gopkg.in/yaml.v3 and decoded here, because
// a decoder that knows positions, spelling and types helps a user more than one
// that doesn't.
package config

//go:generate go test -run TestReference -update
