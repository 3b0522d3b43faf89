package backend

import (
	"context"

	"mkd/config"
	"mkd/proxy/forward"
	"mkd/proxy/request"
	"mkd/proxy/site"
)

// filesBackend serves files.
type filesBackend struct {
	files *site.Files
	tried *triedFiles // nil: a path is that of a file or a folder
}

func newFiles(b *config.Backend, _ Daemon) (Backend, error) {
	c := b.Files
	f := &site.Files{Root: c.Root, Index: c.Index, CacheControl: c.CacheControl, Charset: c.Charset, Types: c.Types, Hide: c.Hide,
		Browse: c.Browse, Precompressed: c.Precompressed}
	if c.Try == nil {
		return &filesBackend{files: f}, f.Check()
	}
	tried, err := newTriedFiles(&site.Scripts{Files: f, Index: c.Index, Try: c.Try, SplitPath: []string{}}) // nothing is a script here
	return &filesBackend{f, tried}, err
}

// Start implements Backend.
func (b *filesBackend) Start(context.Context) error { return nil }

// Shutdown implements Backend.
func (b *filesBackend) Shutdown(context.Context) error {
	b.files.Close()
	return nil
}

// Serve implements request.Backend.
func (b *filesBackend) Serve(w request.Response, r *request.Request) error {
	if b.tried != nil {
		return forward.SiteError(b.tried.serve(w, r))
	}
	return forward.SiteError(b.files.Serve(w, r.Request, r.Prefix))
}
