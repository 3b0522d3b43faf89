package nginxconf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The limits of includes.
const (
	maxFiles      = 1000
	maxDirectives = 100_000
)

// known are files that nginx's packages bring along, and that say nothing of a site:
// without them the rest can be read all the same.
var known = []string{"fastcgi_params", "fastcgi.conf", "mime.types", "proxy_params", "uwsgi_params", "scgi_params"}

// Load reads a file and what it includes, each include in its place. Names of includes
// begin in the folder of the file, or in the one above, since files of sites-enabled
// name what is in nginx's own folder.
//
// An include whose files don't exist stays as it is. An error is of type *Error, or
// wraps one of the file system.
func Load(file string) ([]*Directive, error) {
	l := loader{dir: filepath.Dir(file)}
	all, err := l.load(file, nil)
	if err != nil {
		return nil, err
	}
	return all, nil
}

type loader struct {
	dir               string
	files, directives int
}

// load reads a file that the files of within include.
func (l *loader) load(file string, within []string) ([]*Directive, error) {
	if l.files++; l.files > maxFiles {
		return nil, fmt.Errorf("more than %d files are included", maxFiles)
	}
	text, err := read(file)
	if err != nil {
		return nil, err
	}
	all, err := Parse(file, text)
	if err != nil {
		return nil, err
	}
	return l.expand(all, append(slices.Clone(within), file))
}

// expand puts the files that directives include in their place.
func (l *loader) expand(all []*Directive, within []string) (out []*Directive, err error) {
	for _, d := range all {
		if l.directives++; l.directives > maxDirectives {
			return nil, &Error{d.File, d.Line, fmt.Sprintf("with its includes the configuration has more than %d directives", maxDirectives)}
		}
		if d.Block, err = l.expand(d.Block, within); err != nil {
			return nil, err
		}
		if d.Name != "include" || len(d.Args) != 1 {
			out = append(out, d)
			continue
		}
		files, found, err := l.find(d)
		if err != nil {
			return nil, err
		}
		if !found && !slices.Contains(known, filepath.Base(d.Args[0])) {
			out = append(out, d)
		}
		for _, file := range files {
			if slices.Contains(within, file) {
				return nil, &Error{d.File, d.Line, file + " includes itself"}
			}
			below, err := l.load(file, within)
			if err != nil {
				return nil, err
			}
			out = append(out, below...)
		}
	}
	return out, nil
}

// find returns the files that an include leads to, and whether there is anything to
// include: a pattern may match none.
func (l *loader) find(d *Directive) (files []string, found bool, err error) {
	pattern := d.Args[0]
	glob := strings.ContainsAny(pattern, "*?[")
	candidates := []string{pattern}
	if !filepath.IsAbs(pattern) {
		candidates = []string{filepath.Join(l.dir, pattern), filepath.Join(l.dir, "..", pattern)}
	}
	for _, name := range candidates {
		if files, err = filepath.Glob(name); err != nil {
			return nil, false, &Error{d.File, d.Line, fmt.Sprintf("include %s: %v", shorten(pattern), err)}
		}
		files = slices.DeleteFunc(files, func(file string) bool { return hidden(name, file) })
		if len(files) > 0 {
			return files, true, nil
		}
	}
	return nil, glob, nil
}

// hidden reports whether a pattern would match a name that begins with a dot by a
// wildcard, as glob(3) doesn't.
func hidden(pattern, file string) bool {
	names := strings.Split(file, "/")
	for i, p := range strings.Split(pattern, "/") {
		if i < len(names) && strings.HasPrefix(names[i], ".") && !strings.HasPrefix(p, ".") {
			return true
		}
	}
	return false
}

// read returns the text of a file, or of standard input for "-".
func read(file string) (string, error) {
	in := io.Reader(os.Stdin)
	if file != "-" {
		f, err := os.Open(file)
		var cause *fs.PathError
		if errors.As(err, &cause) {
			return "", fmt.Errorf("%s: %w", file, cause.Err)
		}
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, MaxFile+1))
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", file, err)
	}
	return string(data), nil
}
