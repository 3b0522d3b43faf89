package forward

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"mkd/config"
	"mkd/proxy/request"
	"mkd/proxy/site"
)

// SendFile serves the files that applications name in place of a response, with
// X-Accel-Redirect or X-Sendfile.
type SendFile struct {
	root   string // as it is configured
	prefix string // of X-Accel-Redirect
	files  *site.Files
}

// NewSendFile returns nil if there is no configuration: the fields then mean
// nothing to mkd.
func NewSendFile(c *config.SendFile) *SendFile {
	if c == nil {
		return nil
	}
	return &SendFile{
		root:   c.Root,
		prefix: c.Prefix,
		files:  &site.Files{Root: c.Root, Scripts: []string{}},
	}
}

// Close closes the folder.
func (s *SendFile) Close() {
	if s != nil {
		s.files.Close()
	}
}

// Intercept serves the file that the header of a response names. It
// reports false, and writes nothing, if the header names none.
func (s *SendFile) Intercept(w http.ResponseWriter, r *request.Request, h http.Header) (bool, error) {
	if !s.Names(h) {
		return false, nil
	}
	name := s.path(h)
	if name == "" {
		return true, fmt.Errorf("the response names a file outside of send_file: %.100q", h.Get("X-Accel-Redirect")+h.Get("X-Sendfile"))
	}
	to := w.Header()
	maps.Copy(to, h)
	delete(to, "X-Accel-Redirect")
	delete(to, "X-Sendfile")
	return true, SiteError(s.files.ServeName(w, r.Request, name))
}

// Names reports whether a header names a file.
func (s *SendFile) Names(h http.Header) bool {
	return s != nil && (h.Get("X-Accel-Redirect") != "" || h.Get("X-Sendfile") != "")
}

// path returns the path below the root of the file that a header names, "" if
// the file is elsewhere.
func (s *SendFile) path(h http.Header) string {
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
func (s *SendFile) below(file string) string {
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

// SiteError gives an error of package site its kind.
func SiteError(err error) error {
	for _, k := range siteKinds {
		if errors.Is(err, k.err) {
			return &request.Error{Kind: k.kind, Err: err}
		}
	}
	return err
}

var siteKinds = []struct {
	err  error
	kind request.Kind
}{
	{site.ErrRoot, request.Fault}, // first: it wraps its reason
	{site.ErrNotFound, request.NotFound},
	{site.ErrForbidden, request.NotFound}, // a client needn't know that there is something
	{site.ErrMethod, request.BadMethod},
	{site.ErrRange, request.BadRange},
	{site.ErrPrecondition, request.FailedCondition},
	{site.ErrCut, request.ClientGone},
}
