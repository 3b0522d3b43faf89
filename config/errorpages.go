package config

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ErrorPages replaces the texts of errors.
type ErrorPages struct {
	// Statuses and the file that is the body of responses with them: `404`, or `5xx` for
	// all from 500 to 599. A file has 1 MiB at most, and is read anew when it changes.
	Pages map[string]string `yaml:"pages,required" format:"status"`

	// The backend that makes the pages: those of `pages` are then paths, as `/errors/404`.
	// mkd asks it with GET, as a client at 127.0.0.1 that asks for the host `localhost`, with
	// nothing of the client's request, waits 5 s at most, and keeps a page of 1 MiB at most for 10 s. If it fails,
	// clients get mkd's own text. Default: none, the pages are files.
	Backend string `yaml:"backend"`

	// Whether responses of the backend with these statuses get the pages too. Otherwise
	// only mkd's own errors do.
	Intercept bool `yaml:"intercept" default:"false"`
}

// checkStatus checks a status, or a class of them.
func checkStatus(s string) error {
	if s == "4xx" || s == "5xx" {
		return nil
	}
	if n, err := strconv.Atoi(s); err != nil || n < 400 || n > 599 {
		return errors.New("want a status from 400 to 599, or 4xx or 5xx")
	}
	return nil
}

// checkErrorPages checks that the files exist, and makes their paths those from the
// working directory.
func (w *walker) checkErrorPages(e *ErrorPages) {
	if e == nil || !w.sound(&e.Pages) {
		return
	}
	o := w.at(&e.Pages)
	for _, status := range slices.Sorted(maps.Keys(e.Pages)) {
		if e.Backend != "" {
			if page := e.Pages[status]; !strings.HasPrefix(page, "/") {
				w.wrong(&e.Pages, "the page of %s: %s isn't a path; with backend, pages are paths that begin with /", status, quotePath(page))
			}
			continue
		}
		path := o.source.path(e.Pages[status])
		e.Pages[status] = path
		switch info, err := w.sys.stat(path); {
		case err != nil:
			w.wrong(&e.Pages, "the page of %s: can't read %s; relative paths start at the folder of the configuration file", status, quotePath(path))
		case info.IsDir():
			w.wrong(&e.Pages, "the page of %s: %s is a folder; want a file", status, quotePath(path))
		case info.Size() > int64(maxPage):
			w.wrong(&e.Pages, "the page of %s: %s is larger than %v", status, quotePath(path), maxPage)
		}
	}
}
