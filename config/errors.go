package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is one thing that is wrong, or odd, in a configuration file.
type Error struct {
	File         string // as it was given to Load
	Line, Column int    // from 1; columns count characters; 0: the file as a whole
	Path         string // of the key: "listeners.app.megaki.address"; empty outside of any
	Message      string // what is wrong and what to do
}

// Error returns "FILE:LINE:COLUMN: PATH: MESSAGE", without the parts that are
// unknown.
func (e Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	b.WriteString(": ")
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	b.WriteString(e.Message)
	return b.String()
}

// Errors is everything that is wrong with a file, sorted by place. It has one
// element at least.
type Errors []Error

// maxShown is how many errors are shown one by one. More come from a file that
// isn't a configuration.
const maxShown = 100

// Error returns one line an error.
func (e Errors) Error() string {
	if len(e) == 1 {
		return e[0].Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the configuration has %d errors:", len(e))
	for i := range e[:min(len(e), maxShown)] {
		b.WriteString("\n" + e[i].Error())
	}
	if more := len(e) - maxShown; more > 0 {
		fmt.Fprintf(&b, "\nand %d more", more)
	}
	return b.String()
}

// sort sorts errors by place: those of the main file come first.
func (w *walker) sort(errs []Error) {
	main := w.main.file
	slices.SortStableFunc(errs, func(a, b Error) int {
		switch {
		case a.File != b.File && a.File == main:
			return -1
		case a.File != b.File && b.File == main:
			return 1
		}
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// maxQuoted is how many bytes of a value an error repeats.
const maxQuoted = 60

// quote returns text of the file in quotes, shortened if need be.
func quote(s string) string {
	if len(s) > maxQuoted {
		return fmt.Sprintf("%q...", strings.ToValidUTF8(s[:maxQuoted], ""))
	}
	return fmt.Sprintf("%q", s)
}
