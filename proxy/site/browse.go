package site

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxListed is how many entries of a folder are looked at for a listing.
const maxListed = 4096

// openFolder opens a folder to list, whose path ends in a slash.
func (f *Files) openFolder(r *release, p string) (opened, error) {
	if hidden(p, f.Hide) {
		return opened{}, notFound(p, "is hidden")
	}
	file, err := r.OpenFile(below(p), syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return opened{}, classify(p, err)
	}
	return opened{name: p, file: file, folder: true}, nil
}

// Hold takes n bytes of memory for a listing, which a client that reads slowly holds, until
// release is called. Its error is that of the request.
type Hold func(n int64) (release func(), err error)

// ServeFolder lists the folder that Scripts.Find found. asked and hold are as for Serve.
func (f *Files) ServeFolder(w http.ResponseWriter, r *http.Request, name string, asked *url.URL, hold Hold) error {
	if err := checkMethod(w, r); err != nil {
		return err
	}
	var o opened
	err := f.tree.with(f.Root, func(release *release) (err error) {
		o, err = f.openFolder(release, name)
		return err
	})
	if err != nil {
		return err
	}
	defer o.close()
	return f.list(w, r, &o, cmp.Or(asked, r.URL), hold)
}

// entry is a line of a listing.
type entry struct {
	name     string
	folder   bool
	size     int64
	modified time.Time
}

// names returns the names in a folder. cut reports that there are more.
func (o *opened) names() (names []string, cut bool, err error) {
	names, err = o.file.Readdirnames(maxListed + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, classify(o.name, err)
	}
	if cut = len(names) > maxListed; cut {
		names = names[:maxListed]
	}
	return names, cut, nil
}

// memoryOf returns about how much memory the listing of names takes, in bytes.
func memoryOf(names []string) (n int64) {
	for _, name := range names {
		n += 256 + 3*int64(len(name)) // an entry, and its line, which has the name twice
	}
	return n
}

// entries returns what of the names in a folder would be served: files and folders that
// aren't hidden, and no scripts.
func (f *Files) entries(o *opened, names []string) (list []entry, err error) {
	err = f.tree.with(f.Root, func(r *release) error {
		list = list[:0]
		for _, name := range names {
			p := o.name + name
			if checkPath(p) != nil || hidden(p, f.Hide) {
				continue
			}
			info, err := r.Stat(below(p))
			switch {
			case err != nil: // gone, or a link that leads out of the root
			case info.IsDir():
				list = append(list, entry{name: name, folder: true, modified: info.ModTime()})
			case info.Mode().IsRegular() && !f.isScript(name) && !f.leadsToScript(r, p, info):
				list = append(list, entry{name: name, size: info.Size(), modified: info.ModTime()})
			}
		}
		return nil
	})
	return list, err
}

// leadsToScript reports whether a file is a symlink to a script, or to a place that
// isn't known.
func (f *Files) leadsToScript(r *release, p string, info fs.FileInfo) bool {
	if at, err := r.Lstat(below(p)); err == nil && os.SameFile(at, info) {
		return false // it is no symlink, and its folder's path doesn't matter
	}
	real, err := r.real(p, info)
	return err != nil || f.isScript(path.Base(real))
}

// orders are the ways to sort a listing, apart from folders, which come first.
var orders = map[string]func(a, b entry) int{
	"name": func(a, b entry) int { return 0 },
	"size": func(a, b entry) int { return cmp.Compare(a.size, b.size) },
	"time": func(a, b entry) int { return a.modified.Compare(b.modified) },
}

// sortEntries sorts a listing as the query of its URL asks for, by default by name.
func sortEntries(list []entry, query string) (by string, descending bool) {
	values, _ := url.ParseQuery(query)
	by, descending = values.Get("sort"), values.Get("order") == "desc"
	if orders[by] == nil {
		by = "name"
	}
	slices.SortFunc(list, func(a, b entry) int {
		if a.folder != b.folder {
			if a.folder {
				return -1
			}
			return 1
		}
		c := cmp.Or(orders[by](a, b), strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name)), strings.Compare(a.name, b.name))
		if descending {
			return -c
		}
		return c
	})
	return by, descending
}

// list responds with the listing of a folder. Nothing is taken if hold is nil.
func (f *Files) list(w http.ResponseWriter, r *http.Request, o *opened, asked *url.URL, hold Hold) error {
	names, cut, err := o.names()
	if err != nil {
		return err
	}
	if hold != nil {
		release, err := hold(memoryOf(names))
		if err != nil {
			return err
		}
		defer release()
	}
	list, err := f.entries(o, names)
	if err != nil {
		return err
	}
	by, descending := sortEntries(list, r.URL.RawQuery)
	page := listing(asked.Path, list, by, descending, cut, o.name != "/")
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(page)))
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-cache")
	}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	if _, err := w.Write(page); err != nil {
		return fmt.Errorf("%w: the listing of %s: %w", ErrCut, quoted(o.name), err)
	}
	return nil
}

// listing returns the page of a listing. It has neither scripts nor styles, so that
// its Content-Security-Policy can forbid all. Names are whatever the disk has.
func listing(folder string, list []entry, by string, descending, cut, parent bool) []byte {
	var b bytes.Buffer
	title := html.EscapeString(strings.ToValidUTF8(folder, "\uFFFD"))
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>%s</title>\n</head>\n<body>\n<h1>%[1]s</h1>\n<table>\n<thead>\n<tr>", title)
	for _, column := range [...]struct{ key, title string }{{"name", "Name"}, {"size", "Size"}, {"time", "Changed (UTC)"}} {
		order := "asc"
		if column.key == by && !descending {
			order = "desc"
		}
		fmt.Fprintf(&b, `<th align="left"><a href="?sort=%s&amp;order=%s">%s</a></th>`, column.key, order, column.title)
	}
	b.WriteString("</tr>\n</thead>\n<tbody>\n")
	if parent {
		b.WriteString("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n")
	}
	for _, e := range list {
		slash, size := "", ""
		if e.folder {
			slash = "/"
		} else {
			size = strconv.FormatInt(e.size, 10)
		}
		// ./ keeps a name with a colon from being a scheme.
		fmt.Fprintf(&b, "<tr><td><a href=\"./%s\">%s</a></td><td align=\"right\">%s</td><td>%s</td></tr>\n",
			html.EscapeString(url.PathEscape(e.name))+slash, html.EscapeString(strings.ToValidUTF8(e.name, "\uFFFD"))+slash, size, e.modified.UTC().Format("2006-01-02 15:04:05"))
	}
	b.WriteString("</tbody>\n</table>\n")
	if cut {
		fmt.Fprintf(&b, "<p>The folder has more than %d entries; the rest isn't shown.</p>\n", maxListed)
	}
	b.WriteString("</body>\n</html>\n")
	return b.Bytes()
}
