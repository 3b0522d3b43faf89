package rawio

import (
	"io"
	"sync"
	"syscall"
	"unsafe"
)

// half is one direction of a descriptor that doesn't block.
type half struct {
	raw           syscall.RawConn
	number, flags uintptr // of the system call; read and write ignore flags

	// These functions are made once, since they are called for each request.
	call func(fd uintptr) (done bool)
	once func(fd uintptr)

	mu    sync.Mutex
	p     []byte // the argument of call
	n     int    // its results
	errno syscall.Errno
}

// toRead makes a half that reads.
func (h *half) toRead(raw syscall.RawConn, number, flags uintptr) {
	h.raw, h.number, h.flags = raw, number, flags
	h.call = func(fd uintptr) bool {
		h.n, h.errno = h.one(fd, h.p)
		afterRead()
		return h.errno != syscall.EAGAIN
	}
	h.once = func(fd uintptr) { h.call(fd) }
}

// toWrite makes a half that writes.
func (h *half) toWrite(raw syscall.RawConn, number, flags uintptr) {
	h.raw, h.number, h.flags = raw, number, flags
	h.call = func(fd uintptr) bool {
		beforeWrite()
		for h.n < len(h.p) {
			var n int
			n, h.errno = h.one(fd, h.p[h.n:])
			if h.errno != 0 {
				return h.errno != syscall.EAGAIN
			}
			h.n += n
		}
		return true
	}
}

// one makes the system call of the half.
func (h *half) one(fd uintptr, p []byte) (int, syscall.Errno) {
	return transfer(h.number, fd, p, h.flags)
}

// transfer makes a system call on a descriptor that doesn't block.
func transfer(number, fd uintptr, p []byte, flags uintptr) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
		switch errno {
		case 0:
			return int(n), 0
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

// read reads at least a byte. It returns io.EOF, a syscall.Errno, or an error of the
// RawConn.
func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.p = p[:min(len(p), Most)]
	err := h.raw.Read(h.call)
	return h.received(err)
}

// tryRead is like read, but returns ErrNothing if it would have to wait.
func (h *half) tryRead(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.p = p
	err := h.raw.Control(h.once) // unlike Read it heeds no deadline
	if err == nil && h.errno == syscall.EAGAIN {
		err = ErrNothing
	}
	return h.received(err)
}

func (h *half) received(err error) (int, error) {
	h.p = nil
	switch {
	case err != nil:
		return 0, err
	case h.errno != 0:
		return 0, h.errno
	case h.n == 0:
		return 0, io.EOF
	}
	return h.n, nil
}

// write writes all of p. It returns a syscall.Errno, or an error of the RawConn.
func (h *half) write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.p, h.n, h.errno = p, 0, 0
	err := h.raw.Write(h.call)
	h.p = nil
	if err == nil && h.errno != 0 {
		err = h.errno
	}
	return h.n, err
}
