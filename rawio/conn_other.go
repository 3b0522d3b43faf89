//go:build !linux

package rawio

import (
	"errors"
	"net"
)

// Conn is a socket. Here its calls are those of package net.
type Conn struct{ net.Conn }

// New returns nil: there are no raw system calls here.
func New(net.Conn) *Conn { return nil }

// TryRead isn't there.
func (*Conn) TryRead([]byte) (int, error) { return 0, errors.ErrUnsupported }
