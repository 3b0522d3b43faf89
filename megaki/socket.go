package megaki

import (
	"errors"
	"net"
	"sync"

	"mkd/rawio"
)

// socket is the socket of a connection. While the connection rests, that is a bare
// descriptor: package net and the runtime keep a kilobyte for each socket.
type socket struct {
	mu     sync.Mutex
	conn   net.Conn // nil: bare. Only the connection's owner changes it, and holds mu
	fd     int
	closed func() // called after conn is closed; may be nil
}

// detacher is a connection that can give its socket away. fd is a descriptor of it that
// doesn't block; closed, unless it is nil, is called once when it is closed.
type detacher interface {
	net.Conn
	Detach() (fd int, closed func(), err error)
}

// detaches reports whether the socket can be a bare descriptor.
func (s *socket) detaches() bool {
	switch s.conn.(type) {
	case *net.TCPConn, *net.UnixConn, *rawio.Conn, detacher:
		return true
	}
	return false
}

// detach makes the socket a bare descriptor. If it fails, the socket is as it was.
func (s *socket) detach() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch c := s.conn.(type) {
	case *net.TCPConn, *net.UnixConn, *rawio.Conn:
		s.fd, err = rawio.Detach(c)
	case detacher:
		s.fd, s.closed, err = c.Detach()
	default:
		err = errors.ErrUnsupported
	}
	if err == nil {
		s.conn = nil
	}
	return err
}

// attach makes a connection of the bare descriptor again.
func (s *socket) attach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = rawio.Attach(s.fd)
}

// close closes the socket, unless it is bare. Any goroutine may call it.
func (s *socket) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return
	}
	s.conn.Close()
	if s.closed != nil {
		s.closed()
		s.closed = nil
	}
}
