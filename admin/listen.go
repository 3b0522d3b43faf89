package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/netutil"
)

// Listen opens the unix socket at path, which its owner alone can use. The socket
// that a dead process left is replaced; that of a live one is an error.
func Listen(path string) (*net.UnixListener, error) {
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("admin socket %s: %w", path, err)
	}
	// The mode of the socket that bind makes is that of its descriptor, so that there
	// is no moment at which others can connect.
	private := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if e := raw.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), 0o600) }); e != nil {
			return e
		}
		return err
	}}
	l, err := private.Listen(context.Background(), "unix", path)
	if err == nil {
		if err = os.Chmod(path, 0o600); err != nil { // for a umask that takes the owner's bits
			l.Close()
		}
	}
	if err != nil {
		hint := ""
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
			hint = "; its folder must exist, and the user that mkd runs as must be able to write there"
		}
		return nil, fmt.Errorf("admin socket %s: %w%s", path, cause(err), hint)
	}
	return l.(*net.UnixListener), nil
}

// maxConnections bounds the connections of a TCP listener. Further ones wait.
const maxConnections = 64

// ListenTCP opens a TCP listener for Serve. inherited, if not nil, is its socket, which
// another process has opened; the file stays the caller's.
func ListenTCP(address string, inherited *os.File) (*TCPListener, error) {
	var l net.Listener
	var err error
	if inherited != nil {
		l, err = net.FileListener(inherited)
	} else {
		l, err = net.Listen("tcp", address)
	}
	if err != nil {
		return nil, fmt.Errorf("can't listen on %s: %w", address, cause(err))
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		l.Close()
		return nil, fmt.Errorf("can't listen on %s: the socket isn't one of TCP", address)
	}
	return &TCPListener{netutil.LimitListener(tcp, maxConnections), tcp}, nil
}

// TCPListener is a listener whose connections are bounded.
type TCPListener struct {
	net.Listener
	Socket *net.TCPListener
}

// ErrRunning is the error of a socket that another process serves.
var ErrRunning = errors.New("another mkd serves it, which runs with this configuration already; stop that one, or set admin.address to another path")

// removeStale removes a socket that nobody serves.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return cause(err)
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is a file of this name; move it, or set admin.address to another path")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return ErrRunning
	}
	if !errors.Is(err, syscall.ECONNREFUSED) { // it may be alive
		return cause(err)
	}
	return cause(os.Remove(path))
}

// cause returns an error without the path, which its caller gives.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return err
}
