package backend

import (
	"context"
	"errors"

	"mkd/config"
	"mkd/proxy/forward"
	"mkd/proxy/request"
	"mkd/proxy/site"
	"mkd/share"
)

// filesBackend serves files.
type filesBackend struct {
	files *site.Files
	tried *triedFiles // nil: a path is that of a file or a folder

	listings *share.Pool // bytes of listings that clients get; nil: there are none
}

// maxListings is how much memory the listings of a backend may take together, in bytes. Each
// client has its share.
const maxListings = 64 << 20

var errListings = errors.New("listings of folders wait for clients, or for this one, in all the memory that they may take")

func newFiles(b *config.Backend, _ Daemon) (Backend, error) {
	c := b.Files
	f := &site.Files{Root: c.Root, Index: c.Index, CacheControl: c.CacheControl, Charset: c.Charset, Types: c.Types, Hide: c.Hide,
		Browse: c.Browse, Precompressed: c.Precompressed}
	made := &filesBackend{files: f}
	if c.Browse {
		made.listings = share.NewPool(maxListings, 0)
	}
	if c.Try == nil {
		return made, f.Check()
	}
	tried, err := newTriedFiles(&site.Scripts{Files: f, Index: c.Index, Try: c.Try, SplitPath: []string{}}) // nothing is a script here
	made.tried = tried
	return made, err
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
		return forward.SiteError(b.tried.serve(w, r, b.hold(r)))
	}
	return forward.SiteError(b.files.Serve(w, r.Request, r.AskedFor(), b.hold(r)))
}

// hold returns what takes the memory of a listing for a request.
func (b *filesBackend) hold(r *request.Request) site.Hold {
	if b.listings == nil {
		return nil
	}
	return func(n int64) (release func(), err error) {
		release, ok := b.listings.TakeFor(r.Counted(), n)
		if !ok {
			return nil, &request.Error{Kind: request.Busy, Err: errListings}
		}
		return release, nil
	}
}
