package site

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// asNobody makes the test access files as another user if root runs it, since the
// system denies root nothing. The thread isn't used again.
func asNobody(t *testing.T, dir string) {
	if os.Getuid() != 0 {
		return
	}
	for ; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := syscall.Setfsuid(65534); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Setfsuid(0) }) // so that the test's folder can be removed
}
