package backend

import (
	"context"

	"mkd/config"
	"mkd/proxy/forward"
	"mkd/proxy/request"
	"mkd/proxy/site"
)

// filesBackend serves files.
type filesBackend struct{ files *site.Files }

func newFiles(b *config.Backend, _ Daemon) (Backend, error) {
	c := b.Files
	f := &site.Files{Root: c.Root, Index: c.Index, CacheControl: c.CacheControl, Charset: c.Charset, Types: c.Types, Hide: c.Hide}
	return &filesBackend{f}, f.Check()
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
	return forward.SiteError(b.files.Serve(w, r.Request, r.Prefix))
}
