package proxy

import (
	"context"
	"net/http"

	"mkd/config"
	"mkd/proxy/site"
)

// filesBackend answers with files.
type filesBackend struct{ files *site.Files }

func newFilesBackend(c *config.Files) (*filesBackend, error) {
	f := &site.Files{Root: c.Root, Index: c.Index, CacheControl: c.CacheControl, Charset: c.Charset, Types: c.Types, Hide: c.Hide}
	return &filesBackend{f}, f.Check()
}

func (b *filesBackend) start(context.Context) error { return nil }

func (b *filesBackend) shutdown(context.Context) error {
	b.files.Close()
	return nil
}

func (b *filesBackend) serve(x *exchange, w http.ResponseWriter, r *http.Request) error {
	return b.files.Serve(w, r, x.prefix)
}
