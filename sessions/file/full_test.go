package file

import (
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"mkd/internal/testserver/storetest"
	"mkd/megaki"
)

// TestFullDisk: while the file can't grow, swaps fail, and what is in it can be read. Once
// there is room again, it goes on.
func TestFullDisk(t *testing.T) {
	o := options(t, filepath.Join(t.TempDir(), "sessions.db"), 1)
	s := open(t, o)
	client := o.Sealer.Client(storetest.NewRecord(1).Client)
	var made []megaki.Token
	swap := func() error {
		token := storetest.NewToken()
		swapped, err := s.CompareAndSwap(t.Context(), token, nil, storetest.NewRecord(1))
		if swapped != (err == nil) {
			t.Fatalf("swapped: %t, %v", swapped, err)
		}
		if swapped {
			made = append(made, token)
		}
		return err
	}
	complete := func(what string) {
		t.Helper()
		for _, token := range made {
			if storetest.Load(t, s, token) == nil {
				t.Fatalf("%s: a session is gone", what)
			}
		}
		if s.Len() != len(made) {
			t.Errorf("%s: %d sessions, want %d", what, s.Len(), len(made))
		}
		if its := s.clients.of[client]; its == nil || its.count != len(made) { // the writer rests
			t.Errorf("%s: %+v of the client", what, its)
		}
		intact(t, s.db.Load(), len(made))
	}
	withFileLimit(t, 64<<10, func() {
		var err error
		for err == nil && len(made) < 10000 {
			err = swap()
		}
		if err == nil {
			t.Errorf("%d sessions take no room", len(made))
		}
		for range 20 {
			swap() // some find a page that was freed
		}
		complete("without room")
	})
	if err := swap(); err != nil {
		t.Errorf("with room: %v", err)
	}
	complete("with room")
	s.Close()
	s = open(t, o)
	complete("opened again")
}

// withFileLimit calls f while no file of this process can grow beyond a size in bytes.
func withFileLimit(t *testing.T, size uint64, f func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before)
	f()
}
