//go:build !linux

package http1

import (
	"net"
	"syscall"
)

func socketOf(net.Conn) syscall.RawConn { return nil }

func waitClosed(syscall.RawConn, <-chan struct{}) bool { return false }
