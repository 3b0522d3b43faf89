package proxy

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"mkd/config"
	"mkd/proxy/site"
)

// sendFile serves the files that scripts name in place of a response, with
// X-Accel-Redirect or X-Sendfile.
type sendFile struct {
	root   string // as it is configured
	prefix string // of X-Accel-Redirect
	files  *site.Files
}

// newSendFile returns nil if there is no configuration: the fields then mean
// nothing to mkd.
func newSendFile(c *config.SendFile) *sendFile {
	if c == nil {
		return nil
	}
	return &sendFile{
		root:   c.Root,
		prefix: c.Prefix,
		files:  &site.Files{Root: c.Root, Scripts: []string{}},
	}
}

func (s *sendFile) close() {
	if s != nil {
		s.files.Close()
	}
}

// intercept serves the file that the header of a script's response names. It
// reports false, and writes nothing, if the header names none.
func (s *sendFile) intercept(w http.ResponseWriter, r *http.Request, h http.Header) (bool, error) {
	if !s.names(h) {
		return false, nil
	}
	name := s.path(h)
	if name == "" {
		return true, fmt.Errorf("the script names a file outside of send_file: %.100q", h.Get("X-Accel-Redirect")+h.Get("X-Sendfile"))
	}
	to := w.Header()
	for field, values := range h {
		if field != "X-Accel-Redirect" && field != "X-Sendfile" {
			to[field] = values
		}
	}
	return true, s.files.ServeName(w, r, name)
}

// names reports whether a header names a file.
func (s *sendFile) names(h http.Header) bool {
	return s != nil && (h.Get("X-Accel-Redirect") != "" || h.Get("X-Sendfile") != "")
}

// path returns the path below the root of the file that a header names, "" if
// the file is elsewhere.
func (s *sendFile) path(h http.Header) string {
	target := h.Get("X-Accel-Redirect")
	if target == "" {
		return s.below(filepath.Clean(h.Get("X-Sendfile")))
	}
	target, _, _ = strings.Cut(target, "?")
	path, err := url.PathUnescape(target)
	rest, ok := strings.CutPrefix(path, s.prefix)
	if err != nil || !ok || !strings.HasPrefix(rest, "/") {
		return ""
	}
	return rest
}

// below returns the path below the root of a file whose name begins with the
// root as it is configured or, as PHP's __DIR__ is, free of symlinks. It returns
// "" for other files.
func (s *sendFile) below(file string) string {
	root, err := filepath.Abs(s.root)
	if err != nil {
		return ""
	}
	if rest, ok := strings.CutPrefix(file, root+"/"); ok {
		return "/" + rest
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return ""
	}
	if rest, ok := strings.CutPrefix(file, root+"/"); ok {
		return "/" + rest
	}
	return ""
}
