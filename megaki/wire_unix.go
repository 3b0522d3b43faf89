//go:build unix

package megaki

import (
	"errors"
	"io"
	"os"
	"syscall"

	"mkd/rawio"
)

const canTryRead = true

// tryRead is called when the socket may be readable. It takes a buffer for the
// attempt, and gives it back if there is nothing to read yet. A lack of memory
// ends a connection only if there is something to read.
func (w *wire) tryRead(fd uintptr) bool {
	w.buf, w.tryErr = w.mem.get(minBuffer)
	if w.tryErr != nil {
		return !wouldBlock(fd)
	}
	n, errno := rawio.Receive(fd, w.buf.b)
	switch {
	case errno == syscall.EAGAIN:
		w.release()
		return false
	case errno != 0:
		w.tryErr = os.NewSyscallError("read", errno)
	case n == 0:
		w.tryErr = io.EOF
	default:
		w.n = n
	}
	return true
}

// readable reports, without waiting, whether there is something to read: bytes,
// the end of the stream, or an error.
func (w *wire) readable() bool {
	if w.raw == nil {
		return false
	}
	ready := true
	err := w.raw.Read(func(fd uintptr) bool {
		ready = !wouldBlock(fd)
		return true
	})
	return err != nil || ready
}

// waitReadable waits until readable would report true. It fails when the read
// deadline passes, or the connection is closed here.
func (w *wire) waitReadable() error {
	if w.raw == nil {
		return errors.ErrUnsupported
	}
	return w.raw.Read(func(fd uintptr) bool { return !wouldBlock(fd) })
}

// wouldBlock reports whether a socket has nothing to read.
func wouldBlock(fd uintptr) bool {
	var p [1]byte
	for {
		_, _, err := syscall.Recvfrom(int(fd), p[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err != syscall.EINTR {
			return err == syscall.EAGAIN
		}
	}
}
