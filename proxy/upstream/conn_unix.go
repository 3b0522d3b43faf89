//go:build unix

package upstream

import (
	"io"
	"syscall"
)

// probe reads from a socket without waiting.
type probe struct {
	f   func(fd uintptr) // made once, since it is called for each request
	p   []byte
	n   int
	err error
}

func (pr *probe) init() {
	pr.f = func(fd uintptr) {
		for {
			pr.n, _, pr.err = syscall.Recvfrom(int(fd), pr.p, syscall.MSG_DONTWAIT)
			if pr.err != syscall.EINTR {
				return
			}
		}
	}
}

// read returns errNothing if it would have to wait.
func (pr *probe) read(raw syscall.RawConn, p []byte) (int, error) {
	pr.p = p
	err := raw.Control(pr.f) // unlike Read it heeds no deadline
	pr.p = nil
	switch {
	case err != nil:
		return 0, err
	case pr.err == syscall.EAGAIN:
		return 0, errNothing
	case pr.err != nil:
		return 0, pr.err
	case pr.n == 0:
		return 0, io.EOF
	}
	return pr.n, nil
}
