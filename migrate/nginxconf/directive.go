// Package nginxconf reads configuration files of nginx into directives, as nginx
// itself splits them into words, and follows their includes. It knows no directive
// but include, and the blocks of Lua, which aren't in nginx's syntax.
package nginxconf

import "fmt"

// Directive is a line of a configuration, or a block.
type Directive struct {
	Name   string
	Args   []string     // without quotes and escapes
	Block  []*Directive // what a block has in it
	Braces bool         // whether it is a block, which may be empty

	File string // as Load and Parse were given it, or as an include leads to it
	Line int    // where it begins, counted from 1
	Text string // as it is written, up to its semicolon or brace, with single spaces
}

// Position returns FILE:LINE.
func (d *Directive) Position() string { return fmt.Sprintf("%s:%d", d.File, d.Line) }

// Arg returns an argument, "" if there are fewer.
func (d *Directive) Arg(i int) string {
	if i < len(d.Args) {
		return d.Args[i]
	}
	return ""
}

// Error is a fault in a file.
type Error struct {
	File    string
	Line    int
	Message string
}

// Error returns FILE:LINE: and what is wrong.
func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message) }
