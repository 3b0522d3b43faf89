// Package site finds what a URL's path means in a folder of the disk: a file to
// serve, or the script that a FastCGI server shall run.
//
// Files serves files. Scripts finds the script of a request; where it finds a
// file, Files serves that. Both answer nothing but what they were asked for:
// what can't be served is an error, and the caller decides its status.
//
//	found, err := scripts.Find(r.URL)
//	switch {
//	case err != nil:
//		// ErrNotFound, ErrForbidden, ErrRoot, or what the disk says
//	case found.Redirect != "":
//		site.Redirect(w, r, found.Redirect)
//	case found.File != "":
//		err = files.ServeFile(w, r, found.File)
//	default:
//		// found.Filename, found.Name, found.PathInfo, found.DocumentRoot
//	}
//
// # Inside the root
//
// All is opened through an os.Root: a symlink may lead to another place in the
// root, by a relative path, and nowhere else. An absolute symlink is refused,
// even one that leads into the root. The folders on the way have to be readable,
// not just searchable (r-x, as in mode 0755).
//
// The root itself may be a symlink, or lie below one, as in
// /srv/site/current/public. Each request looks where it leads (one stat, about two
// microseconds), so a deployment that swaps it is followed by the next request;
// a request under way stays with the folder in which it began. The swap should
// be one rename: in the time in which there is no root, requests fail with
// ErrRoot.
//
// # Names
//
// Names are bytes: they are compared as they are, without regard to Unicode
// forms. A path that isn't in normal form (with dot segments, empty segments, a
// NUL, a backslash, or an encoded slash or backslash) is refused, though a router
// should have seen to it before.
//
// Hidden are names that begin with a dot, .well-known at the top excepted (RFC
// 8615), and what Files.Hide says. A script's source is never served, under
// whatever name it lies there; see Files.Scripts.
package site
