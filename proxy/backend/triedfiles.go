package backend

import (
	"fmt"
	"net/http"

	"mkd/proxy/request"
	"mkd/proxy/site"
)

// triedFiles serves the first file that exists of several paths: those of the files
// backend's try, and of the public folder of a PHP script.
type triedFiles struct {
	files *site.Files
	finds *site.Scripts
}

func newTriedFiles(finds *site.Scripts) (*triedFiles, error) {
	if finds.Index == nil {
		finds.Index = []string{"index.html"}
	}
	return &triedFiles{finds.Files, finds}, finds.Check()
}

// serve serves the file of a request. The error is a site.ErrNotFound if there is
// none; then nothing was written. hold is for listings.
func (t *triedFiles) serve(w request.Response, r *request.Request, hold site.Hold) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header()["Allow"] = []string{"GET, HEAD"}
		return site.ErrMethod
	}
	found, err := t.finds.Find(r.URL)
	asked := r.AskedFor()
	switch {
	case err != nil:
		return err
	case found.Redirect != "", found.Filename == "" && site.LacksSlash(r.URL.Path, asked):
		site.Redirect(w, r.Request, asked)
		return nil
	case found.Folder != "":
		return t.files.ServeFolder(w, r.Request, found.Folder, asked, hold)
	case found.File != "":
		return t.files.ServeFile(w, r.Request, found.File)
	}
	return fmt.Errorf("%w: %.100q is a script", site.ErrNotFound, found.Name) // which isn't served as a file
}
