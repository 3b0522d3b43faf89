// Package site maps the path of a URL to a file in a folder: a file to serve, or
// a script for a FastCGI server to run.
//
// Files serves files. Scripts finds the script of a request; where it finds a file,
// Files serves that. If there is nothing to serve, they write nothing and return an
// error, and the caller decides its status.
//
//	found, err := scripts.Find(r.URL)
//	switch {
//	case err != nil:
//		// ErrNotFound, ErrForbidden, ErrRoot, or an error of the disk
//	case found.Redirect != "":
//		site.Redirect(w, r, r.URL)
//	case found.File != "":
//		err = files.ServeFile(w, r, found.File)
//	default:
//		// found.Filename, found.Name, found.PathInfo, found.DocumentRoot
//	}
//
// # Inside the root
//
// Files are opened through an os.Root: a symlink may lead to another place in the
// root, by a relative path, and nowhere else. An absolute symlink is refused,
// even one that leads into the root. The folders on the way have to be readable,
// not just searchable (r-x, as in mode 0755).
//
// The root itself may be a symlink, or be below one, as in
// /srv/site/current/public. Each request looks where it leads (one stat, about two
// microseconds), so the next request after a deployment uses the new folder; a
// request in flight stays with the folder in which it began. The swap should be one
// rename: while there is no root, requests fail with ErrRoot.
//
// # Names
//
// Names are bytes and are compared as they are, in no Unicode normal form. A path
// that isn't clean (with dot segments, empty segments, a NUL, a backslash, or an
// encoded slash or backslash) is refused, although a router should have cleaned it
// before.
//
// Names that begin with a dot are hidden, except .well-known at the top (RFC 8615),
// and so are those that match Files.Hide. The source of a script is never served,
// whatever its name; see Files.Scripts.
package site
