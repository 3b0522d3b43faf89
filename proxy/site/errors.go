package site

import (
	"errors"
	"fmt"
	"io/fs"
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
	errFolder = errors.New("is a folder")
	errMoved  = errors.New("was replaced again and again while it was looked up")
)

// maxQuoted is how much of a name an error's text tells, in bytes.
const maxQuoted = 256

// quoted is a name as it stands in an error's text: clients choose it.
func quoted(name string) string {
	if len(name) > maxQuoted {
		return fmt.Sprintf("%q…", name[:maxQuoted])
	}
	return fmt.Sprintf("%q", name)
}

func notFound(name, reason string) error {
	return fmt.Errorf("%w: %s %s", ErrNotFound, quoted(name), reason)
}

// classify says what it means that a name can't be opened or looked at.
func classify(name string, err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err // whose text repeats the name as it is
	}
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return fmt.Errorf("%w: %s: %w", ErrForbidden, quoted(name), err) // os.Root has one error of its own: the path escapes
	}
	switch errno {
	case syscall.ENOENT, syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.EINVAL, syscall.EILSEQ,
		syscall.ENXIO, syscall.ENODEV: // a socket, a device that isn't there
		return fmt.Errorf("%w: %s: %w", ErrNotFound, quoted(name), err)
	case syscall.EACCES, syscall.EPERM, syscall.ELOOP:
		return fmt.Errorf("%w: %s: %w", ErrForbidden, quoted(name), err)
	}
	return fmt.Errorf("%s: %w", quoted(name), err)
}
