package site

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"strings"
)

// Scripts finds the script to run, or the file to serve, for a request to a site of
// scripts. It is safe for concurrent use, and must not be changed once it is in use.
type Scripts struct {
	// Files has the root, the hidden names, and those that are never served; its
	// Index isn't used. Hidden scripts aren't run.
	Files *Files
	// Index has the names of the scripts and files that are used for a folder; the
	// first that exists. nil: index.php, index.html; empty: none.
	Index []string
	// SplitPath has the extensions of scripts, compared byte for byte. What follows
	// the name of a script in a path is its PathInfo. nil: .php.
	//
	// Files.Scripts must cover each extension, which Check checks.
	SplitPath []string
	// Try has paths that are tried in turn, as with nginx's try_files: {path} (or
	// $uri) is the request's path, and a slash at the end means a folder with an
	// index. =404 ends the list. nil: {path} and {path}/.
	//
	// With Try: []string{"{path}", "{path}/", "/index.php"}, /index.php runs for paths
	// that don't exist. A request keeps its query and its REQUEST_URI, so entries have
	// no query.
	Try []string
	// PHPRoot is the path of the root for the FastCGI server, if that sees another
	// disk (in a container). Empty: the root's own path, without symlinks.
	PHPRoot string
}

// Found is the result for a path: exactly one of Filename, File, Folder and Redirect
// is set.
type Found struct {
	// Filename is the file of the script (SCRIPT_FILENAME). Its path has no symlinks,
	// as with nginx's $realpath_root: PHP caches scripts by their path, so after a
	// new release it must see another one.
	Filename     string
	Name         string // the part of the path that leads to the script (SCRIPT_NAME)
	PathInfo     string // the part after it (PATH_INFO); empty: none
	DocumentRoot string // the root, without symlinks as well, and without a slash at the end (DOCUMENT_ROOT)

	// File is the path below the root of a file to serve, for Files.ServeFile.
	File string

	// Folder is the path below the root of a folder to list, for Files.ServeFolder. It
	// is only found with Files.Browse.
	Folder string

	// Redirect is the path of a folder with its slash, for the function Redirect.
	Redirect string
}

var (
	defaultScriptIndex = []string{"index.php", "index.html"}
	defaultSplitPath   = []string{".php"}
	defaultTry         = []string{"{path}", "{path}/"}
)

func (s *Scripts) index() []string {
	if s.Index == nil {
		return defaultScriptIndex
	}
	return s.Index
}

func (s *Scripts) splitPath() []string {
	if s.SplitPath == nil {
		return defaultSplitPath
	}
	return s.SplitPath
}

func (s *Scripts) try() []string {
	if s.Try == nil {
		return defaultTry
	}
	return s.Try
}

// Check returns an error if the options are wrong. It doesn't look at the disk.
func (s *Scripts) Check() error {
	if err := s.Files.Check(); err != nil {
		return err
	}
	if err := checkIndex(s.Index); err != nil {
		return err
	}
	for _, extension := range s.splitPath() {
		if len(extension) < 2 || extension[0] != '.' || strings.ContainsAny(extension[1:], "./\\") {
			return fmt.Errorf("%q isn't an extension such as .php", extension)
		}
		if !s.Files.isScript("x" + extension) {
			return fmt.Errorf("the source of scripts with the extension %s would be served: no pattern in Scripts matches it", extension)
		}
	}
	for i, entry := range s.try() {
		if entry == "=404" {
			if i != len(s.try())-1 {
				return errors.New("=404 ends what is tried, so nothing can follow it")
			}
			continue
		}
		if strings.ContainsAny(entry, "?#") {
			return fmt.Errorf("%q has a query: a request keeps its own, so leave it out", entry)
		}
		before, after, _ := cutPath(entry)
		if checkPath(expand(entry, "/x")) != nil || strings.ContainsAny(before+after, "${}") {
			return fmt.Errorf("%q can't be tried: want a path, with {path} once at most, or =404", entry)
		}
	}
	if s.PHPRoot != "" && s.PHPRoot[0] != '/' {
		return fmt.Errorf("%q isn't an absolute path", s.PHPRoot)
	}
	return nil
}

// Find returns the script or the file of a URL's path.
//
// A path is split after its first segment that has an extension of scripts and is a
// regular file in the root. So /a.jpg/x.php isn't found if a.jpg is a file, and
// /x.PHP, /x.php., "/x.php " and /x.phpx are no scripts.
func (s *Scripts) Find(u *url.URL) (Found, error) {
	p, err := pathOf(u)
	if err != nil {
		return Found{}, err
	}
	return s.within(func(r *release) (Found, error) { return s.find(r, p) })
}

// FindEncoded is Find for a URL whose path may have an encoded slash or
// backslash: some applications take a whole name with a slash for one segment. No
// file has such a path. So only two scripts can be meant: one that the path
// leads to before the segment with the encoded character, and one that Try names
// without {path}. The PathInfo is decoded; what the client wrote is in its
// request's REQUEST_URI.
func (s *Scripts) FindEncoded(u *url.URL) (Found, error) {
	escaped := u.EscapedPath()
	at := encodedAt(escaped)
	if at < 1 || escaped[0] != '/' {
		return s.Find(u)
	}
	before, err := url.PathUnescape(escaped[:strings.LastIndexByte(escaped[:at], '/')])
	if err != nil || !strings.HasPrefix(u.Path, before) {
		return Found{}, notFound(escaped, "is malformed")
	}
	if before != "" {
		if err := checkPath(before); err != nil {
			return Found{}, err
		}
	}
	rest := u.Path[len(before):]
	if slashes := strings.ReplaceAll(rest, `\`, "/") + "/"; strings.IndexByte(rest, 0) >= 0 || strings.Contains(slashes, "/./") || strings.Contains(slashes, "/../") {
		return Found{}, notFound(escaped, "has a NUL or a dot segment")
	}
	return s.within(func(r *release) (Found, error) { return s.findEncoded(r, before, rest) })
}

// within calls find with the current release.
func (s *Scripts) within(find func(*release) (Found, error)) (found Found, err error) {
	err = s.Files.tree.with(s.Files.Root, func(r *release) (err error) {
		found, err = find(r)
		return err
	})
	if err != nil {
		return Found{}, err
	}
	return found, nil
}

// findEncoded finds the script for a path that consists of before, which has no
// encoded separator, and rest, whose first segment has one.
func (s *Scripts) findEncoded(r *release, before, rest string) (Found, error) {
	for _, entry := range s.try() {
		if entry == "=404" {
			break
		}
		var found Found
		var err error
		if a, b, ok := cutPath(entry); !ok {
			found, err = s.file(r, entry)
		} else if a == "" && b == "" {
			if found, err = s.scriptOn(r, before); err == errNoScript {
				continue
			}
			found.PathInfo += rest
		} else {
			continue
		}
		if !errors.Is(err, ErrNotFound) {
			return found, err
		}
	}
	return Found{}, notFound(before+rest, "leads to no script")
}

func (s *Scripts) find(r *release, p string) (Found, error) {
	for _, entry := range s.try() {
		if entry == "=404" {
			break
		}
		candidate := expand(entry, p)
		if checkPath(candidate) != nil {
			continue
		}
		var found Found
		var err error
		if strings.HasSuffix(entry, "/") {
			found, err = s.folder(r, candidate)
			if err == nil && candidate == p+"/" {
				found = Found{Redirect: candidate}
			}
		} else {
			found, err = s.file(r, candidate)
		}
		if !errors.Is(err, ErrNotFound) {
			return found, err
		}
	}
	return Found{}, notFound(p, "is neither a script nor a file")
}

// cutPath returns the parts of an entry of Try before and after the request's path.
func cutPath(entry string) (before, after string, ok bool) {
	if before, after, ok = strings.Cut(entry, "{path}"); !ok {
		before, after, ok = strings.Cut(entry, "$uri")
	}
	return before, after, ok
}

// expand returns an entry of Try with the request's path in it.
func expand(entry, p string) string {
	before, after, ok := cutPath(entry)
	if !ok {
		return entry
	}
	if strings.HasSuffix(p, "/") {
		after = strings.TrimPrefix(after, "/")
	}
	return strings.TrimSuffix(before, "/") + p + after
}

// folder finds the index of a folder, whose path ends in a slash.
func (s *Scripts) folder(r *release, p string) (Found, error) {
	// Usually there is no folder, and so no need to look for each index.
	if _, err := s.stat(r, p); err != errFolder {
		if err == nil {
			err = notFound(p, "is no folder")
		}
		return Found{}, err
	}
	for _, name := range s.index() {
		find := s.static
		if s.split(name, 0) == len(name) {
			find = s.script
		}
		found, err := find(r, p+name)
		if err != errFolder && !errors.Is(err, ErrNotFound) {
			return found, err
		}
	}
	if s.Files.Browse {
		return Found{Folder: p}, nil
	}
	return Found{}, notFound(p, "has no index")
}

// file finds the script on a path, or the file to which the whole of it leads.
func (s *Scripts) file(r *release, p string) (Found, error) {
	found, err := s.scriptOn(r, p)
	if err != errNoScript {
		return found, err
	}
	found, err = s.static(r, p)
	if err == errFolder {
		err = notFound(p, "is a folder")
	}
	return found, err
}

// scriptOn finds the script on a path. The error is errNoScript if no segment
// has an extension of scripts, apart from folders.
func (s *Scripts) scriptOn(r *release, p string) (Found, error) {
	for end := s.split(p, 0); end > 0; end = s.split(p, end) {
		found, err := s.script(r, p[:end])
		if err == nil {
			found.PathInfo = p[end:]
			return found, nil
		}
		if err != errFolder { // so there is nothing below it
			return Found{}, err
		}
	}
	return Found{}, errNoScript
}

// split returns where the first segment of p[from:] ends that has an extension
// of scripts, or 0.
func (s *Scripts) split(p string, from int) int {
	for from < len(p) {
		end := len(p)
		if i := strings.IndexByte(p[from+1:], '/'); i >= 0 {
			end = from + 1 + i
		}
		for _, extension := range s.splitPath() {
			if strings.HasSuffix(p[from:end], extension) {
				return end
			}
		}
		from = end
	}
	return 0
}

// script finds the script with exactly the path p. The error is errFolder if a
// folder is there.
func (s *Scripts) script(r *release, p string) (Found, error) {
	info, err := s.stat(r, p)
	if err != nil {
		return Found{}, err
	}
	real, err := r.real(p, info)
	if err != nil {
		return Found{}, err
	}
	if base := path.Base(real); s.split(base, 0) != len(base) {
		return Found{}, &nameError{ErrForbidden, p, reasonError("leads to a file that isn't a script")}
	}
	root := r.path
	if s.PHPRoot != "" {
		root = strings.TrimRight(s.PHPRoot, "/")
	}
	return Found{Filename: root + strings.TrimPrefix(real, r.path), Name: p, DocumentRoot: root}, nil
}

// static finds the file with exactly the path p. The error is errFolder if a
// folder is there.
func (s *Scripts) static(r *release, p string) (Found, error) {
	if strings.HasSuffix(p, "/") || s.Files.isScript(path.Base(p)) {
		return Found{}, notFound(p, "is no file's path")
	}
	if _, err := s.stat(r, p); err != nil {
		return Found{}, err
	}
	return Found{File: p}, nil
}

// stat looks at a regular file that isn't hidden. The error is errFolder if a
// folder is there.
func (s *Scripts) stat(r *release, p string) (fs.FileInfo, error) {
	if hidden(p, s.Files.Hide) {
		return nil, notFound(p, "is hidden")
	}
	info, err := r.Stat(below(p))
	switch {
	case err != nil:
		return nil, classify(p, err)
	case info.IsDir():
		return nil, errFolder
	case !info.Mode().IsRegular():
		return nil, notFound(p, "isn't a regular file")
	}
	return info, nil
}
