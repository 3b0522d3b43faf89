package site

import (
	"errors"
	"io/fs"
	"strconv"
	"syscall"
)

// What an error of this package is, as errors.Is tells. One that is none of
// these is the disk's or the system's, such as too many open files.
var (
	// ErrNotFound says that there is nothing to serve: 404. The text of the error
	// tells why, which a client shouldn't learn.
	ErrNotFound = errors.New("not found")
	// ErrForbidden says that there is something, but it can't be reached: the
	// system denies it (the error wraps fs.ErrPermission then), or a symlink leads
	// out of the root or round in circles. It is an operator's mistake and belongs
	// in a log; 403, or 404.
	ErrForbidden = errors.New("out of reach")
	// ErrMethod says that a file was asked for by another method than GET or HEAD:
	// 405. The header has Allow then.
	ErrMethod = errors.New("files have GET and HEAD alone")
	// ErrRange says that the file has no byte of the range that was asked for:
	// 416. The header has Content-Range then, unless the range was malformed.
	ErrRange = errors.New("the range is outside the file")
	// ErrPrecondition says that If-Match or If-Unmodified-Since didn't hold: 412.
	ErrPrecondition = errors.New("a precondition doesn't hold")
	// ErrRoot says that the root can't be opened. It comes before all others: the
	// reason, which is wrapped too, may be fs.ErrNotExist or fs.ErrPermission.
	ErrRoot = errors.New("the root can't be opened")
	// ErrCut says that an answer broke off after its header was written, because
	// the client left or the file became shorter. No status can be sent any more;
	// the connection has to be closed.
	ErrCut = errors.New("the answer was cut off")
)

// Kinds of failure that don't leave the package.
var (
	errFolder   = errors.New("is a folder")
	errNoScript = errors.New("leads to no script")
	errMoved    = errors.New("was replaced again and again while it was looked up")
)

// failure is an error about a name. Its text is made when it is asked for: most
// failures of Scripts.Find just lead to the next thing to try.
type failure struct {
	kind   error // one of the above; nil: a failure of the disk
	name   string
	reason error
}

func (e *failure) Error() string {
	text := quoted(e.name) + ": " + e.reason.Error()
	if e.kind != nil {
		text = e.kind.Error() + ": " + text
	}
	return text
}

func (e *failure) Unwrap() []error {
	if e.kind == nil {
		return []error{e.reason}
	}
	return []error{e.kind, e.reason}
}

// because is a reason in words.
type because string

func (b because) Error() string { return string(b) }

// maxQuoted is how much of a name an error's text tells, in bytes.
const maxQuoted = 256

// quoted is a name as it stands in an error's text: clients choose it.
func quoted(name string) string {
	if len(name) > maxQuoted {
		return strconv.Quote(name[:maxQuoted]) + "…"
	}
	return strconv.Quote(name)
}

func notFound(name string, reason because) error {
	return &failure{ErrNotFound, name, reason}
}

// classify says what it means that a name can't be opened or looked at.
func classify(name string, err error) error {
	if e, ok := err.(*fs.PathError); ok {
		err = e.Err // whose text repeats the name as it is
	}
	errno, ok := err.(syscall.Errno)
	if !ok {
		return &failure{ErrForbidden, name, err} // os.Root has one error of its own: the path escapes
	}
	switch errno {
	case syscall.ENOENT, syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.EINVAL, syscall.EILSEQ,
		syscall.ENXIO, syscall.ENODEV: // a socket, a device that isn't there
		return &failure{ErrNotFound, name, err}
	case syscall.EACCES, syscall.EPERM, syscall.ELOOP:
		return &failure{ErrForbidden, name, err}
	}
	return &failure{nil, name, err}
}
