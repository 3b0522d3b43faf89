package cgi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	folderPrefix  = "mkd-php-"
	socketName    = "s"
	maxSocketPath = 107 // bytes (unix(7))

	// backlog is how many connections may wait for a process. One more, and
	// connect(2) fails. The system may have a lower limit, net.core.somaxconn.
	backlog = 1024
)

// newSocketPath returns the path of a socket in a folder of its own. Neither
// exists yet.
func newSocketPath(dir string) (string, error) {
	path := filepath.Join(dir, folderPrefix+rand.Text(), socketName)
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("the path of a socket can't be longer than %d bytes: %s", maxSocketPath, path)
	}
	return path, nil
}

// listen makes the folder and the socket, with these modes whatever the umask is.
// The socket blocks, unlike Go's own: php-cgi ends if there is nothing to accept.
func listen(path string) (*os.File, error) {
	folder := filepath.Dir(path)
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of php-cgi's socket: %w", err)
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		os.Remove(folder)
		return nil, os.NewSyscallError("socket", err)
	}
	if err = errors.Join(os.Chmod(folder, 0o700), os.NewSyscallError("bind", syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}))); err == nil {
		err = errors.Join(os.Chmod(path, 0o600), os.NewSyscallError("listen", syscall.Listen(fd, backlog)))
	}
	if err != nil {
		syscall.Close(fd)
		os.RemoveAll(folder)
		return nil, fmt.Errorf("making php-cgi's socket %s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// shutdownListener ends accept(2) in all processes that have the socket, once
// its queue is empty.
func shutdownListener(f *os.File) error {
	return os.NewSyscallError("shutdown", syscall.Shutdown(int(f.Fd()), syscall.SHUT_RDWR))
}

// staleAge is how old a folder must be before sweep looks at it: a new one may
// belong to another daemon that isn't listening yet.
const staleAge = time.Minute

// sweep removes the folders that killed daemons left behind: those of this user
// in which nobody listens.
func sweep(dir string) {
	found, _ := filepath.Glob(filepath.Join(dir, folderPrefix+"*", socketName)) // it fails only for a malformed pattern
	for _, path := range found {
		folder := filepath.Dir(path)
		info, err := os.Lstat(folder)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < staleAge {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() {
			continue
		}
		c, err := net.Dial("unix", path)
		if err == nil {
			c.Close()
		}
		if errors.Is(err, syscall.ECONNREFUSED) {
			os.RemoveAll(codeFolder(path))
			os.RemoveAll(folder)
		}
	}
}

// probe sends FCGI_GET_VALUES (specification, section 4.1) without a name, which
// only a FastCGI server responds to and which runs no script. The response comes
// when a process is ready.
func probe(ctx context.Context, path string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	const (
		version         = 1
		getValues       = 9
		getValuesResult = 10
	)
	header := [8]byte{version, getValues}
	if _, err := c.Write(header[:]); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, header[:]); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	if header[0] != version || header[1] != getValuesResult {
		return fmt.Errorf("it isn't a FastCGI server: it responds % x", header)
	}
	return nil
}
