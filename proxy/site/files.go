package site

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"
)

// Files serves the files below a folder. It is safe for concurrent use, and must not
// be changed or copied once it is in use.
//
// Only regular files are served, and folders are listed only with Browse. A response has
// Last-Modified and an ETag, which consists of the time of the last change in
// nanoseconds and the size: a copy made by rsync -t on another server has the
// same. The ETag is strong (RFC 9110, section 8.8.1) unless the last change is less
// than two seconds ago: clocks of file systems are coarse, and another change could
// have the same time. Files from the first second of the epoch, as in the Nix store
// and in images, get neither.
//
// The media type depends on the extension, by a table of this package, and never on
// the content. If it is unknown, X-Content-Type-Options: nosniff keeps clients from
// guessing.
type Files struct {
	// Root is the folder. Its path is resolved anew for each request.
	Root string
	// Index has the names of the files that are served for a folder; the first that
	// exists is used. nil: index.html; empty: none.
	Index []string
	// CacheControl is the Cache-Control of responses that have none yet; empty: none.
	CacheControl string
	// Hide has patterns (as for path.Match) of names that are hidden, besides
	// dotfiles. Each segment of a path is compared with them, in upper or lower case:
	// what is below a hidden folder is hidden too.
	Hide []string
	// Scripts has patterns (as for path.Match) of the names of scripts, which are
	// never served. The last segment of a path is compared with them, in upper or
	// lower case, and, if it is a symlink, the name of the file that it leads to.
	// nil: *.php* (so x.phps, x.php7, x.php~, x.php.bak and x.php.txt too), *.pht*
	// (x.phtml), *.phar*, *.inc and *.inc~; empty: none.
	Scripts []string
	// Charset is sent with the types text/* of the table of this package. Empty:
	// none for text/html and text/plain, utf-8 for the others.
	Charset string
	// Types has media types besides and instead of those in the table of this
	// package, by extension in lower case (".html"). "" is for names without one.
	Types map[string]string
	// Browse is whether a folder without an index is listed.
	Browse bool
	// Precompressed has content codings: zstd, br or gzip. A client that takes one of
	// them gets the file beside the one that it asked for, with the ending .zst, .br
	// or .gz, unless that is older. Of those that a client likes as well, the first
	// counts.
	Precompressed []string

	tree    tree
	known   knownFiles
	buffers sync.Pool // of *[32 << 10]byte
}

var (
	defaultIndex   = []string{"index.html"}
	defaultScripts = []string{"*.php*", "*.pht*", "*.phar*", "*.inc", "*.inc~"}
)

func (f *Files) index() []string {
	if f.Index == nil {
		return defaultIndex
	}
	return f.Index
}

func (f *Files) isScript(name string) bool {
	if f.Scripts == nil {
		return matches(defaultScripts, name)
	}
	return matches(f.Scripts, name)
}

// Check returns an error if the options are wrong. It doesn't look at the disk.
func (f *Files) Check() error {
	if f.Root == "" {
		return errors.New("no root is given")
	}
	for _, list := range [][]string{f.Hide, f.Scripts} {
		for _, pattern := range list {
			if _, err := path.Match(pattern, ""); err != nil {
				return fmt.Errorf("%q is no pattern: %w", pattern, err)
			}
			if strings.Contains(pattern, "/") {
				return fmt.Errorf("the pattern %q has a slash: patterns are for the names of files and folders, not for paths", pattern)
			}
		}
	}
	for _, coding := range f.Precompressed {
		if endings[coding] == "" {
			return fmt.Errorf("%q isn't one of the content codings zstd, br and gzip", coding)
		}
	}
	return checkIndex(f.Index)
}

func checkIndex(index []string) error {
	for _, name := range index {
		if name == "" || strings.Contains(name, "/") || checkPath("/"+name) != nil {
			return fmt.Errorf("the index %q isn't the name of a file", name)
		}
	}
	return nil
}

// Close closes the root. Requests in flight continue, and a later one opens it again.
func (f *Files) Close() { f.tree.close() }

// Serve serves the file of a request's path. If that is a folder with a file of
// Index, Serve serves this, or, without a slash at the end of the path, redirects
// the client to the path with one. With Browse it lists a folder without such a file.
// asked has the path and the query with which the client asked for r.URL, as far as a
// router changed them; nil: it changed nothing. Redirects and listings have them. hold
// takes the memory of a listing; nil: it isn't bounded.
//
// If it returns an error other than ErrCut, nothing was written.
func (f *Files) Serve(w http.ResponseWriter, r *http.Request, asked *url.URL, hold Hold) error {
	if err := checkMethod(w, r); err != nil {
		return err
	}
	p, err := pathOf(r.URL)
	if err != nil {
		return err
	}
	var o opened
	err = f.tree.with(f.Root, func(release *release) (err error) {
		if o, err = f.find(release, p); err == nil && f.Precompressed != nil && !o.redirect && !o.folder {
			f.choose(release, r, &o)
		}
		return err
	})
	if err != nil {
		return err
	}
	defer o.close()
	asked = cmp.Or(asked, r.URL)
	if o.redirect || LacksSlash(p, asked) {
		Redirect(w, r, asked)
		return nil
	}
	if o.folder {
		return f.list(w, r, &o, asked, hold)
	}
	return f.send(w, r, &o)
}

// ServeFile serves the file that Scripts.Find found. It serves no folder. If it
// returns an error other than ErrCut, nothing was written.
func (f *Files) ServeFile(w http.ResponseWriter, r *http.Request, name string) error {
	if err := checkMethod(w, r); err != nil {
		return err
	}
	return f.serveName(w, r, name)
}

// ServeName serves a file that an application named (X-Accel-Redirect, X-Sendfile),
// whatever the method of the request. The name is a path below the root, not
// encoded, that begins with a slash. The same rules apply to it as to a client's.
//
// The fields that are set in w's header stay, as Content-Type and Cache-Control.
// Those about the length, the version, the coding and the bytes of the content are
// removed, or replaced by the file's: an application may have compressed the body that
// the file takes the place of. If it returns an error other than ErrCut, nothing was
// written.
func (f *Files) ServeName(w http.ResponseWriter, r *http.Request, name string) error {
	return f.serveName(w, r, name)
}

func (f *Files) serveName(w http.ResponseWriter, r *http.Request, name string) error {
	if err := checkPath(name); err != nil {
		return err
	}
	var o opened
	err := f.tree.with(f.Root, func(release *release) (err error) {
		if o, err = f.open(release, name); err == nil && f.Precompressed != nil {
			f.choose(release, r, &o)
		}
		return err
	})
	if err == errFolder {
		return notFound(name, "is a folder")
	}
	if err != nil {
		return err
	}
	defer o.close()
	return f.send(w, r, &o)
}

func checkMethod(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return ErrMethod
	}
	return nil
}

// opened is a file that may be served, or a redirect to it.
type opened struct {
	name     string      // its path below the root
	file     *os.File    // nil: content has all
	info     fs.FileInfo // of the descriptor, so that the file that was checked is served
	known    *known      // about the file; nil: nothing
	content  []byte      // of the file; nil: it is read from file
	coding   string      // of the file; "": none
	redirect bool        // file is nil: the path needs a slash at its end
	folder   bool        // file is a folder to list
}

// close closes the file, if there is one.
func (o *opened) close() {
	if o.file != nil {
		o.file.Close()
	}
}

// find opens the file of a path, or the index of the folder that it leads to. A
// folder without an index isn't found, unless it may be listed.
func (f *Files) find(r *release, p string) (opened, error) {
	slash := strings.HasSuffix(p, "/")
	folder := p
	if !slash {
		o, err := f.open(r, p)
		if err != errFolder {
			return o, err
		}
		folder += "/"
	}
	for _, name := range f.index() {
		o, err := f.open(r, folder+name)
		switch {
		case err == nil && slash:
			return o, nil
		case err == nil:
			o.close()
			return opened{redirect: true}, nil
		case err != errFolder && !errors.Is(err, ErrNotFound):
			return opened{}, err
		}
	}
	if f.Browse {
		o, err := f.openFolder(r, folder)
		if err == nil && !slash {
			o.close()
			return opened{redirect: true}, nil
		}
		return o, err
	}
	return opened{}, notFound(p, "has no index")
}

// open opens a regular file that may be served, or finds its content in memory. The
// error is errFolder if a folder is there.
func (f *Files) open(r *release, p string) (opened, error) {
	if found := f.inMemory(r, p); found != nil {
		return opened{name: p, info: found.info, known: found, content: found.content}, nil
	}
	if strings.HasSuffix(p, "/") {
		return opened{}, notFound(p, "is no file's path")
	}
	if hidden(p, f.Hide) {
		return opened{}, notFound(p, "is hidden")
	}
	// Without O_NONBLOCK a FIFO would keep us waiting for its writer.
	file, err := r.OpenFile(below(p), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return opened{}, classify(p, err)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return opened{}, classify(p, err)
	}
	o := opened{name: p, file: file, info: info, known: f.known.get(p, info)}
	if o.known != nil {
		f.rememberContent(p, &o)
		return o, nil
	}
	if err := f.mayServe(r, p, info); err != nil {
		file.Close()
		return opened{}, err
	}
	o.known = f.remember(p, info)
	return o, nil
}

// mayServe returns an error for an open file that must not be served.
func (f *Files) mayServe(r *release, p string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return errFolder
	case !info.Mode().IsRegular():
		return notFound(p, "isn't a regular file")
	case f.isScript(path.Base(p)):
		return notFound(p, "is a script")
	}
	// A symlink's name reveals nothing of the file it leads to.
	if at, err := os.Lstat(r.path + p); err == nil && os.SameFile(at, info) {
		return nil
	}
	real, err := r.real(p, info)
	if err != nil {
		return err
	}
	if f.isScript(path.Base(real)) {
		return notFound(p, "leads to a script")
	}
	return nil
}
