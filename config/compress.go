package config

import (
	"errors"
	"strings"

	"mkd/httpfield"
)

// Compress configures how responses are compressed. `compress: true` is the short
// form of `compress: {}`.
type Compress struct {
	// Whether they are.
	Enabled bool `yaml:"enabled" default:"true"`

	// The content codings. A client gets the one that it likes best, and of those
	// that it likes as well the first of this list. Default: `zstd`, `br`, `gzip`.
	// At the levels that mkd uses `zstd` takes the least processor time, and `br`
	// makes the shortest bodies.
	Algorithms []string `yaml:"algorithms" oneof:"zstd br gzip"`

	// The media types that are compressed, as in `text/*` and `application/json`.
	// Default: text/*, and the types of JSON, XML, JavaScript, YAML and SVG.
	Types []string `yaml:"types" format:"media-range"`

	// The length from which a body is compressed. One whose length is unknown always
	// is.
	MinSize Size `yaml:"min_size" default:"1KiB" range:"0B..1GiB"`
}

func (c *Compress) shortForms() []string { return []string{"true", "false"} }
func (c *Compress) setShort(text string) { c.Enabled = text == "true" }

// checkCompress checks that each coding and type is given once.
func (w *walker) checkCompress(c *Compress) {
	if c == nil {
		return
	}
	w.checkListedTwice(c.Algorithms)
	w.checkListedTwice(c.Types)
	for _, list := range []*[]string{&c.Algorithms, &c.Types} {
		if w.at(list).given && len(*list) == 0 && w.sound(list) {
			w.wrong(list, "it is empty; take it out for the default")
		}
	}
}

// checkMediaRange checks type/subtype and type/*.
func checkMediaRange(s string) error {
	kind, sub, ok := strings.Cut(s, "/")
	if !ok || !httpfield.IsToken(kind) || kind == "*" || !httpfield.IsToken(sub) || sub != "*" && strings.Contains(sub, "*") {
		return errors.New("want a media type without parameters, as in application/json, or text/* for all of a kind")
	}
	if strings.ToLower(s) != s {
		return errors.New("types are compared in lower case; write " + strings.ToLower(s))
	}
	return nil
}
