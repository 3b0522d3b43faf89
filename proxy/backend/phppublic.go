package backend

import (
	"errors"
	"net/http"
	"slices"

	"mkd/config"
	"mkd/proxy/forward"
	"mkd/proxy/request"
	"mkd/proxy/site"
)

// publicFiles serves the files of a site whose other paths workers handle.
type publicFiles struct{ *triedFiles }

// newPublicFiles returns nil if the backend has no public folder.
func newPublicFiles(c *config.PHP) (*publicFiles, error) {
	if c.Public == "" {
		return nil, nil
	}
	try := []string{"{path}"}
	if len(c.Try) > 0 {
		try = slices.DeleteFunc(slices.Clone(c.Try), func(s string) bool { return s == config.TryWorker })
	}
	tried, err := newTriedFiles(&site.Scripts{Files: &site.Files{Root: c.Public}, Try: append(try, "=404")})
	return &publicFiles{tried}, err
}

// serve serves the file of a request, and reports whether it has responded. If not,
// the request is for a worker.
func (p *publicFiles) serve(w request.Response, r *request.Request) (served bool, err error) {
	if r.Raw || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false, nil
	}
	err = p.triedFiles.serve(w, r, nil) // it lists nothing
	if errors.Is(err, site.ErrNotFound) && !errors.Is(err, site.ErrRoot) {
		return false, nil
	}
	return true, forward.SiteError(err)
}

func (p *publicFiles) close() {
	if p != nil {
		p.files.Close()
	}
}
