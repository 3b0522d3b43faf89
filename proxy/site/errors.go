package site

import (
	"errors"
	"io/fs"
	"strconv"
	"syscall"
)

// Kinds of errors, for errors.Is. Any other error comes from the disk or the system,
// such as too many open files.
var (
	// ErrNotFound means that there is nothing to serve: 404. The text of the error
	// has the reason, which a client shouldn't learn.
	ErrNotFound = errors.New("not found")
	// ErrForbidden means that a file exists but can't be opened: the system denies
	// it (the error then wraps fs.ErrPermission), or a symlink leads out of the root
	// or in a circle. It is an operator's mistake and belongs in a log; 403, or 404.
	ErrForbidden = errors.New("forbidden")
	// ErrMethod means that a file was requested with another method than GET or
	// HEAD: 405. The header then has Allow.
	ErrMethod = errors.New("files allow only GET and HEAD")
	// ErrRange means that the file has no byte of the requested range: 416. The
	// header then has Content-Range, unless the range was malformed.
	ErrRange = errors.New("the range is outside the file")
	// ErrPrecondition means that If-Match or If-Unmodified-Since failed: 412.
	ErrPrecondition = errors.New("a precondition failed")
	// ErrRoot means that the root can't be opened. Check it before all others: it
	// wraps its reason, which may be fs.ErrNotExist or fs.ErrPermission.
	ErrRoot = errors.New("the root can't be opened")
	// ErrCut means that a response broke off after its header was written, because
	// the client left or the file became shorter. No status can be sent any more;
	// the caller must close the connection.
	ErrCut = errors.New("the response was cut off")
)

// Kinds of errors that don't leave the package.
var (
	errFolder   = errors.New("is a folder")
	errNoScript = errors.New("leads to no script")
	errMoved    = errors.New("was replaced again and again while it was looked up")
)

// nameError is an error about a name. Its text is built on demand: most failures in
// Scripts.Find only lead to the next entry of Try.
type nameError struct {
	kind   error // one of the above; nil: a failure of the disk
	name   string
	reason error
}

func (e *nameError) Error() string {
	text := quoted(e.name) + ": " + e.reason.Error()
	if e.kind != nil {
		text = e.kind.Error() + ": " + text
	}
	return text
}

func (e *nameError) Unwrap() []error {
	if e.kind == nil {
		return []error{e.reason}
	}
	return []error{e.kind, e.reason}
}

// reasonError is a reason as text.
type reasonError string

func (e reasonError) Error() string { return string(e) }

// maxQuoted is how much of a name an error's text contains, in bytes.
const maxQuoted = 256

// quoted returns a name for an error's text. Clients choose names.
func quoted(name string) string {
	if len(name) > maxQuoted {
		return strconv.Quote(name[:maxQuoted]) + "…"
	}
	return strconv.Quote(name)
}

func notFound(name string, reason reasonError) error {
	return &nameError{ErrNotFound, name, reason}
}

// classify returns the failure for an error of opening a name, or of its stat.
func classify(name string, err error) error {
	if e, ok := err.(*fs.PathError); ok {
		err = e.Err // whose text repeats the name as it is
	}
	errno, ok := err.(syscall.Errno)
	if !ok {
		return &nameError{ErrForbidden, name, err} // os.Root has one error of its own: the path escapes
	}
	switch errno {
	case syscall.ENOENT, syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.EINVAL, syscall.EILSEQ,
		syscall.ENXIO, syscall.ENODEV: // a socket, a device that isn't there
		return &nameError{ErrNotFound, name, err}
	case syscall.EACCES, syscall.EPERM, syscall.ELOOP:
		return &nameError{ErrForbidden, name, err}
	}
	return &nameError{nil, name, err}
}
