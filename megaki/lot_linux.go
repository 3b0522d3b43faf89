package megaki

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// canRest is whether connections can wait in a pollSet.
const canRest = true

// pollSet is a set of sockets that wait for something to read (epoll(7)). The
// runtime's own poller watches the set, so that it takes no thread.
type pollSet struct {
	file   *os.File
	raw    syscall.RawConn
	events []syscall.EpollEvent
	ids    []uint64
}

func (s *pollSet) open() error {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // or else a Read would block a thread
		syscall.Close(fd)
		return os.NewSyscallError("fcntl", err)
	}
	s.file = os.NewFile(uintptr(fd), "epoll")
	if s.raw, err = s.file.SyscallConn(); err != nil {
		s.file.Close()
		return err
	}
	if err := s.file.SetReadDeadline(time.Time{}); err != nil { // it isn't watched
		s.file.Close()
		return err
	}
	s.events = make([]syscall.EpollEvent, 256)
	return nil
}

func (s *pollSet) close() { s.file.Close() }

// add puts a descriptor into the set, for one event.
func (s *pollSet) add(fd int, id uint64) error {
	return s.change(syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT,
		Fd:     int32(uint32(id)), Pad: int32(uint32(id >> 32)),
	})
}

// remove takes a descriptor out of the set. To close it isn't enough: the set goes on as
// long as the socket has another descriptor.
func (s *pollSet) remove(fd int) error { return s.change(syscall.EPOLL_CTL_DEL, fd, nil) }

func (s *pollSet) change(op, fd int, event *syscall.EpollEvent) error {
	var failed error
	err := s.raw.Control(func(set uintptr) {
		failed = os.NewSyscallError("epoll_ctl", syscall.EpollCtl(int(set), op, fd, event))
	})
	return errors.Join(err, failed)
}

// wakeAt has wait return at a time, if nothing happens before; zero: it doesn't.
func (s *pollSet) wakeAt(t time.Time) { s.file.SetReadDeadline(t) }

// wait returns the ids of sockets with something to read. The result is valid until
// the next call.
func (s *pollSet) wait() ([]uint64, error) {
	s.ids = s.ids[:0]
	var failed error
	err := s.raw.Read(func(set uintptr) bool {
		n, err := syscall.EpollWait(int(set), s.events, 0)
		if err != nil && err != syscall.EINTR {
			failed = os.NewSyscallError("epoll_wait", err)
			return true
		}
		for _, e := range s.events[:max(n, 0)] {
			s.ids = append(s.ids, uint64(uint32(e.Fd))|uint64(uint32(e.Pad))<<32)
		}
		return len(s.ids) > 0
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return s.ids, errors.Join(err, failed)
}
