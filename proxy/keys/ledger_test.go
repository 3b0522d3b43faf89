package keys

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mkd/megaki"
)

func report(t *testing.T, l *Ledger, now time.Time) map[megaki.KeyID]Usage {
	t.Helper()
	r, err := l.report(now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLedgerWindows(t *testing.T) {
	l := Open(filepath.Join(t.TempDir(), "keys.json"))
	now := time.Unix(1_800_000_000, 0).UTC()
	a, b := megaki.KeyID{1}, megaki.KeyID{2}
	for _, ago := range []time.Duration{0, 59 * time.Minute, 61 * time.Minute, 23 * time.Hour, 25 * time.Hour, 29 * 24 * time.Hour, 31 * 24 * time.Hour} {
		l.count(a, now.Add(-ago))
	}
	l.count(b, now.Add(-31*24*time.Hour))
	r := report(t, l, now)
	if got, want := r[a], (Usage{2, 4, 6, now}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if u, there := r[b]; there {
		t.Errorf("a key that wasn't used in 30 days: %+v", u)
	}
}

// TestLedgerOfAClockThatWasAhead: what was counted while the clock was a week ahead once was
// in the last hour for a week.
func TestLedgerOfAClockThatWasAhead(t *testing.T) {
	l := Open(filepath.Join(t.TempDir(), "keys.json"))
	now := time.Unix(1_800_000_000, 0).UTC()
	id := megaki.KeyID{1}
	fast := now.Add(7 * 24 * time.Hour)
	l.count(id, fast)
	l.count(id, now)
	if got, want := report(t, l, now)[id], (Usage{1, 1, 1, fast}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, want := report(t, l, fast)[id], (Usage{1, 1, 2, fast}); got != want {
		t.Errorf("a week later: %+v, want %+v", got, want)
	}
}

// Counts outlive the process, and several processes add to the same file.
func TestLedgerFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "keys.json")
	id := megaki.KeyID{1}
	ledgers := []*Ledger{Open(path), Open(path), Open(path)}
	var wg sync.WaitGroup
	for _, l := range ledgers {
		wg.Go(func() {
			for range 50 {
				l.Count(id)
				if err := l.Save(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, l := range append(ledgers, Open(path)) {
		if got := report(t, l, time.Now())[id]; got.Month != 150 || got.Hour != 150 || time.Since(got.Last) > time.Hour {
			t.Errorf("%+v", got)
		}
	}
	ledgers[0].Count(id)
	if got := report(t, ledgers[0], time.Now())[id].Day; got != 151 {
		t.Errorf("with one that isn't saved yet: %d", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestLedgerOnASlowDisk: a file that can't be written for long doesn't hold handshakes up,
// and what they count meanwhile is kept.
func TestLedgerOnASlowDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	unlock, err := lock(path + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	release := sync.OnceFunc(unlock)
	defer release()
	l, id := Open(path), megaki.KeyID{1}
	l.Count(id)
	saved, counted := make(chan error, 1), make(chan struct{})
	go func() { saved <- l.Save() }()
	go func() {
		defer close(counted)
		for range 100 { // before and while it is saved
			l.Count(id)
			time.Sleep(time.Millisecond)
		}
	}()
	select {
	case <-counted:
	case <-time.After(10 * time.Second):
		t.Fatal("a handshake waits for the disk")
	}
	release()
	if err := <-saved; err != nil {
		t.Error(err)
	}
	if n := report(t, l, time.Now())[id].Day; n != 101 {
		t.Errorf("%d handshakes, want 101", n)
	}
}

// A damaged file is reported, not overwritten.
func TestLedgerDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, []byte(`{"keys": {"00": null}, `), 0o600); err != nil {
		t.Fatal(err)
	}
	l := Open(path)
	l.Count(megaki.KeyID{1})
	if err := l.Save(); err == nil || !strings.Contains(err.Error(), "move the file away") {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(path, []byte(`{"keys": {"00": null, "zz": {}, "01": {"hours": {"1": 1}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Save(); err != nil {
		t.Error(err)
	}
	if r := report(t, l, time.Now()); len(r) != 1 || r[megaki.KeyID{1}].Hour != 1 {
		t.Errorf("%+v", r)
	}
}
