//go:build !linux

package rawio

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// Conn is a socket. Here its calls are those of package net.
type Conn struct{ net.Conn }

// New returns nil: there are no raw system calls here.
func New(net.Conn) *Conn { return nil }

// TryRead isn't there.
func (*Conn) TryRead([]byte) (int, error) { return 0, errors.ErrUnsupported }

// SyscallConn isn't there.
func (*Conn) SyscallConn() (syscall.RawConn, error) { return nil, errors.ErrUnsupported }

// Detach isn't there.
func Detach(net.Conn) (fd int, err error) { return -1, errors.ErrUnsupported }

// Attach isn't there, since nothing can be detached.
func Attach(fd int) *Conn { panic("rawio: no descriptor comes from Detach") }

// Pipe is two pipes. Here its calls are those of package os.
type Pipe struct{ rd, wr *os.File }

// NewPipe returns a Pipe that reads from rd, and writes to wr.
func NewPipe(rd, wr *os.File) *Pipe { return &Pipe{rd, wr} }

// Read reads what has come, at least a byte.
func (p *Pipe) Read(b []byte) (int, error) { return p.rd.Read(b) }

// Write writes all of b.
func (p *Pipe) Write(b []byte) (int, error) { return p.wr.Write(b) }

// TryRead isn't there.
func (*Pipe) TryRead([]byte) (int, error) { return 0, errors.ErrUnsupported }
