//go:build race

package rawio

import "syscall"

// To the race detector, a write happens before each later read: so package syscall
// has it for tests that have both sides in one process. These functions do the same
// for raw calls, by calls of package syscall without an effect.

// devNull has nothing to be read.
var devNull, _ = syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)

// beforeWrite is called before each write.
func beforeWrite() { syscall.Write(-1, nil) }

// afterRead is called after each read.
func afterRead() {
	var none [1]byte
	syscall.Read(devNull, none[:])
}
