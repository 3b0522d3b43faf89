//go:build !linux

package listen

import (
	"syscall"
	"time"
)

// keepAlive has package net choose.
const keepAlive time.Duration = 0

func control(_, _ string, _ syscall.RawConn) error { return nil }
