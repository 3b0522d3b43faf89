package config

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"
)

// pathKind is what a path must be. All but a command without a slash are
// relative to the folder of the configuration file.
type pathKind string

const (
	notPath     pathKind = ""
	pathFile    pathKind = "file"    // a file that exists
	pathKey     pathKind = "key"     // a private key that exists and others can't read
	pathTLSKey  pathKind = "tlskey"  // the private key of a certificate, likewise
	pathSecret  pathKind = "secret"  // a file that exists and others can't read
	pathDir     pathKind = "dir"     // a folder that exists
	pathNew     pathKind = "newdir"  // a folder, or nothing yet
	pathNewFile pathKind = "newfile" // a file, or nothing yet in a folder that exists
	pathAny     pathKind = "any"     // a file or a folder that exists
	pathCommand pathKind = "command" // a name on PATH, or a file that exists
)

// isRead reports whether mkd reads the whole file. Others, such as that of the log, may be a
// pipe or a device.
func (k pathKind) isRead() bool {
	return k == pathFile || k == pathKey || k == pathTLSKey || k == pathSecret
}

// resolve returns a path as seen from the working directory, and checks that
// what it names is there.
func (w *walker) resolve(s string, kind pathKind, n *yaml.Node, path string) (string, bool) {
	if kind == pathCommand && !strings.Contains(s, "/") {
		return s, true // a name, to be looked up on PATH
	}
	resolved := w.source.path(s)
	if kind == pathCommand && !strings.Contains(resolved, "/") {
		resolved = "./" + resolved // still not a name
	}
	shown := quotePath(resolved)
	if isExpanded(n) {
		shown = w.show(n)
	}
	info, err := w.sys.stat(resolved)
	var cause *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist) && kind == pathNew:
		return resolved, true
	case errors.Is(err, fs.ErrNotExist) && kind == pathNewFile:
		if dir, err := w.sys.stat(filepath.Dir(resolved)); err == nil && dir.IsDir() {
			return resolved, true
		}
		w.errorf(n, path, "the folder of %s doesn't exist; make it, and let mkd's user write there", shown)
	case errors.Is(err, fs.ErrNotExist) && kind == pathKey:
		w.errorf(n, path, "%[1]s doesn't exist; make it with mkd keygen --out %[1]s", shown)
	case errors.Is(err, fs.ErrNotExist) && kind == pathTLSKey:
		w.errorf(n, path, "%s doesn't exist; it is the private key that was made together with the certificate in cert, as by certbot or openssl", shown)
	case errors.Is(err, fs.ErrNotExist):
		hint := ""
		if !filepath.IsAbs(s) {
			hint = "; relative paths start at the folder of the configuration file"
		}
		w.errorf(n, path, "%s doesn't exist%s", shown, hint)
	case errors.As(err, &cause):
		w.errorf(n, path, "can't read %s: %v", shown, cause.Err)
	case err != nil:
		w.errorf(n, path, "can't read %s: %v", shown, err)
	case (kind == pathDir || kind == pathNew) && !info.IsDir():
		w.errorf(n, path, "%s isn't a folder", shown)
	case kind != pathDir && kind != pathNew && kind != pathAny && info.IsDir(),
		kind.isRead() && !info.Mode().IsRegular():
		w.errorf(n, path, "%s is %s; want a file", shown, fileKind(info.Mode()))
	case (kind == pathKey || kind == pathTLSKey || kind == pathSecret) && info.Mode()&0o044 != 0:
		w.warnings = append(w.warnings, w.message(w.sourceOf(n).file, n.Line, n.Column, path, "%s can be read by others than its owner; chmod 600 it", shown))
		return resolved, true
	default:
		return resolved, true
	}
	return resolved, false
}

// quotePath returns a path as errors show it: in quotes if it has odd letters.
func quotePath(s string) string {
	if strings.Trim(s, wordBytes+"./") != "" {
		return quote(s)
	}
	return s
}
