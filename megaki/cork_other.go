//go:build !linux

package megaki

import "syscall"

func cork(syscall.RawConn) {}
