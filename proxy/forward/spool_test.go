package forward

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mkd/proxy/request"
)

// TestSpoolFails: a disk that takes no more is a fault of this side, not of the
// client or the script.
func TestSpoolFails(t *testing.T) {
	for err, want := range map[error]int{
		keepError(syscall.ENOSPC):                         507,
		keepError(syscall.EDQUOT):                         507,
		keepError(syscall.EIO):                            500,
		ErrSpoolFull:                                      503,
		&request.ClientError{Err: io.ErrUnexpectedEOF}:    400,
		&request.ClientError{Err: os.ErrDeadlineExceeded}: 408,
	} {
		if got := request.Status(err); got != want {
			t.Errorf("%v: %d", err, got)
		}
	}
	s := &Spool{memory: 4, limit: 100, dir: filepath.Join(t.TempDir(), "gone")}
	r, err := http.NewRequest("POST", "/", io.MultiReader(strings.NewReader("longer than that")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Receive(r); request.Status(err) != 500 || s.used.Load() != 0 {
		t.Errorf("%v, %d bytes left", err, s.used.Load())
	}
}
