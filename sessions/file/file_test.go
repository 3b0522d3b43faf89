package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"mkd/internal/testserver/storetest"
	"mkd/megaki"
	"mkd/sessions"
)

// patience is how long a state may take to come.
const patience = 20 * time.Second

func options(t testing.TB, path string, secret byte) Options {
	t.Helper()
	sealer, err := sessions.NewSealer(bytes.Repeat([]byte{secret}, sessions.MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	return Options{Path: path, Sealer: sealer}
}

func open(t testing.TB, o Options) *Store {
	t.Helper()
	s := New(o)
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStore(t *testing.T) {
	s := open(t, options(t, filepath.Join(t.TempDir(), "sessions.db"), 1))
	storetest.Run(t, s, s)
	if n := s.Unreadable(); n != 0 {
		t.Errorf("%d records can't be read, and there are none", n)
	}
}

// Sessions are there after the file was closed, for whoever has the secret.
func TestReopen(t *testing.T) {
	o := options(t, filepath.Join(t.TempDir(), "sessions.db"), 1)
	s := open(t, o)
	var tokens []megaki.Token
	for i := range 10 {
		tokens = append(tokens, storetest.NewToken())
		storetest.Swap(t, s, tokens[i], nil, storetest.NewRecord(i))
	}
	s.Close()
	if _, err := s.Load(t.Context(), tokens[0]); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := s.CompareAndSwap(t.Context(), tokens[0], nil, storetest.NewRecord(1)); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
	data, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	s = open(t, o)
	if s.Len() != 10 {
		t.Errorf("%d sessions", s.Len())
	}
	for i, token := range tokens {
		r := storetest.Load(t, s, token)
		if r == nil || r.Current.Key[7] != byte(i) {
			t.Fatalf("session %d is gone", i)
		}
		if bytes.Contains(data, r.Current.Key[8:]) {
			t.Error("a key is readable in the file")
		}
	}
	s.Close()
	stranger := open(t, options(t, o.Path, 2))
	if storetest.Load(t, stranger, tokens[0]) != nil || stranger.Unreadable() != 1 {
		t.Error("opened without the secret")
	}
}

// A record that was copied to another token in the file is none.
func TestMovedRecord(t *testing.T) {
	s := open(t, options(t, filepath.Join(t.TempDir(), "sessions.db"), 1))
	token, other := storetest.NewToken(), storetest.NewToken()
	storetest.Swap(t, s, token, nil, storetest.NewRecord(1))
	err := s.db.Load().Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(recordsBucket)
		return b.Put(other[:], bytes.Clone(b.Get(token[:])))
	})
	if err != nil {
		t.Fatal(err)
	}
	if storetest.Load(t, s, token) == nil || storetest.Load(t, s, other) != nil {
		t.Error("a record was moved to another session")
	}
}

// The session whose handshake was first is forgotten when the file is full, and what
// has expired makes room.
func TestCapacity(t *testing.T) {
	o := options(t, filepath.Join(t.TempDir(), "sessions.db"), 1)
	o.Capacity = 5
	s := open(t, o)
	var tokens []megaki.Token
	for i := range 8 {
		token, r := storetest.NewToken(), storetest.NewRecord(i)
		r.Expires = r.Expires.Add(time.Duration(i) * time.Second)
		tokens = append(tokens, token)
		storetest.Swap(t, s, token, nil, r)
		if s.Len() > 5 {
			t.Fatalf("%d sessions", s.Len())
		}
	}
	for i, token := range tokens {
		if got := storetest.Load(t, s, token) != nil; got != (i >= 3) {
			t.Errorf("session %d kept: %v", i, got)
		}
	}
	// A swap of a record moves its entry in the order, and makes no second one.
	r := storetest.Load(t, s, tokens[7])
	for range 10 {
		r.Expires = r.Expires.Add(time.Second)
		if !storetest.Swap(t, s, tokens[7], r, r) {
			t.Fatal("not swapped")
		}
		r = storetest.Load(t, s, tokens[7])
	}
	if s.Len() != 5 {
		t.Errorf("%d sessions", s.Len())
	}
	intact(t, s.db.Load(), 5)
	r.Expires = time.Now().Add(-time.Hour)
	storetest.Swap(t, s, tokens[7], r, r)
	storetest.Swap(t, s, storetest.NewToken(), nil, storetest.NewRecord(9))
	intact(t, s.db.Load(), 5)
}

// TestHandshakesOfOneAddressEvictItsOwnSessions: handshakes of one address made the file
// forget the sessions of all others. It still does so when it was opened anew.
func TestHandshakesOfOneAddressEvictItsOwnSessions(t *testing.T) {
	o := options(t, filepath.Join(t.TempDir(), "sessions.db"), 1)
	o.Capacity = 128
	s := open(t, o)
	expires := time.Now().Add(time.Hour)
	add := func(from string) megaki.Token {
		token, r := storetest.NewToken(), storetest.NewRecord(1)
		expires = expires.Add(time.Second)
		r.Expires, r.Client = expires, netip.Prefix{}
		if from != "" {
			r.Client = netip.MustParsePrefix(from)
		}
		storetest.Swap(t, s, token, nil, r)
		return token
	}
	var quiet []megaki.Token
	for i := range 20 {
		quiet = append(quiet, add(fmt.Sprintf("192.0.2.%d/32", i)))
	}
	quiet = append(quiet, add("")) // of a trusted proxy
	for round := range 2 {
		var last megaki.Token
		for range 200 {
			last = add("198.51.100.1/32")
		}
		for i, token := range quiet {
			r := storetest.Load(t, s, token)
			if r == nil {
				t.Fatalf("round %d: the session of quiet client %d is forgotten", round, i)
			}
			storetest.Swap(t, s, token, r, r)
		}
		if storetest.Load(t, s, last) == nil || s.Len() != o.Capacity {
			t.Errorf("round %d: %d sessions", round, s.Len())
		}
		intact(t, s.db.Load(), o.Capacity)
		s.Close()
		s = open(t, o)
	}
	for range o.Capacity { // nobody has much: the first ones go
		add(fmt.Sprintf("2001:db8:%x::/64", rand.IntN(1<<16)))
	}
	if storetest.Load(t, s, quiet[0]) != nil {
		t.Error("the oldest session is kept")
	}
}

// intact fails the test unless the file is whole and has n sessions.
func intact(t *testing.T, db *bolt.DB, n int) {
	t.Helper()
	err := db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			t.Error(err)
		}
		for _, name := range [][]byte{recordsBucket, expiryBucket} {
			if have := tx.Bucket(name).Stats().KeyN; have != n {
				t.Errorf("%d entries in %s, want %d", have, name, n)
			}
		}
		named := 0
		tx.Bucket(expiryBucket).ForEach(func(key, id []byte) error {
			if sessions.ClientID(id) != (sessions.ClientID{}) {
				named++
				if tx.Bucket(clientsBucket).Get(join(id, key)) == nil {
					t.Errorf("no entry of client %x", id)
				}
			}
			return nil
		})
		if have := tx.Bucket(clientsBucket).Stats().KeyN; have != named {
			t.Errorf("%d entries in %s, want %d", have, clientsBucket, named)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A process that takes over waits for the file in the background.
func TestTakeOver(t *testing.T) {
	o := options(t, filepath.Join(t.TempDir(), "sessions.db"), 1)
	old := open(t, o)
	token := storetest.NewToken()
	storetest.Swap(t, old, token, nil, storetest.NewRecord(1))
	var log strings.Builder
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	next := open(t, o)
	if _, err := next.Load(t.Context(), token); !errors.Is(err, errLocked) {
		t.Errorf("while another process has the file: %v", err)
	}
	old.Close()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		r, err := next.Load(t.Context(), token)
		if err == nil {
			if r == nil {
				t.Error("the session is gone")
			}
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	next.Close() // nothing is logged any more
	for _, want := range []string{"in use by another process", "is free, and in use here now"} {
		if strings.Count(log.String(), want) != 1 {
			t.Errorf("%q isn't logged once: %s", want, log.String())
		}
	}
}

// TestReplacedBeforeItIsLocked: a process that waits for the lock of a file, while the one
// that has it puts another file in its place, once kept its sessions in the file that was
// replaced, where no later process looked for them.
func TestReplacedBeforeItIsLocked(t *testing.T) {
	o := options(t, filepath.Join(t.TempDir(), "sessions.db"), 1)
	other := options(t, o.Path+".other", 1)
	token := storetest.NewToken()
	s := open(t, other)
	storetest.Swap(t, s, token, nil, storetest.NewRecord(1))
	s.Close()
	first := open(t, o)
	opened := make(chan error, 1)
	next := New(o)
	go func() { opened <- next.Open() }()
	for end := time.Now().Add(patience); !isOpenTwice(t, o.Path) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if err := os.Rename(other.Path, o.Path); err != nil {
		t.Fatal(err)
	}
	first.Close()
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		r, err := next.Load(t.Context(), token)
		if r != nil {
			break
		}
		if err == nil || time.Now().After(end) {
			t.Fatalf("the file that was replaced is in use: %v", err)
		}
	}
}

// isOpenTwice reports whether this process has a file open twice.
func isOpenTwice(t *testing.T, path string) bool {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	descriptors, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, d := range descriptors {
		if opened, err := os.Stat(d); err == nil && os.SameFile(info, opened) {
			n++
		}
	}
	return n == 2
}

// TestOtherFile: a file of bbolt that has something else under the names of this store's
// buckets isn't used.
func TestOtherFile(t *testing.T) {
	for _, name := range [][]byte{recordsBucket, expiryBucket, clientsBucket} {
		o := options(t, filepath.Join(t.TempDir(), "sessions.db"), 1)
		open(t, o).Close()
		db, err := bolt.Open(o.Path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bolt.Tx) error {
			if err := tx.DeleteBucket(name); err != nil {
				return err
			}
			// The bucket of buckets can't be had in another way.
			return tx.Cursor().Bucket().Put(name, []byte("a value"))
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		s := New(o)
		if err := s.Open(); err == nil || !strings.Contains(err.Error(), o.Path) {
			t.Errorf("without the bucket %s: %v", name, err)
		}
		s.Close()
	}
}

// unusedFile makes a file of which more than half is unused, and returns its size and the
// token of the session that is left.
func unusedFile(t *testing.T, o Options) (size int64, kept megaki.Token) {
	t.Helper()
	s := open(t, o)
	kept = storetest.NewToken()
	storetest.Swap(t, s, kept, nil, storetest.NewRecord(1))
	var batch []*swap
	for i := range 600 {
		token, r := storetest.NewToken(), storetest.NewRecord(i)
		batch = append(batch, &swap{token: token, sealed: append(o.Sealer.Seal(token, r), make([]byte, 8<<10)...), expires: time.Now().Add(time.Minute), done: make(chan error, 1)})
	}
	s.Close()
	s = open(t, o)
	if err := s.apply(batch); err != nil {
		t.Fatal(err)
	}
	s.opts.Capacity = 1
	if err := s.apply(nil); err != nil || s.Len() != 1 {
		t.Fatalf("%d sessions, %v", s.Len(), err)
	}
	s.Close()
	info, err := os.Stat(o.Path)
	if err != nil || info.Size() < leastCompacted {
		t.Fatalf("%v, %v", info, err)
	}
	return info.Size(), kept
}

// A file of which more than half is unused is written anew when it is opened.
func TestCompaction(t *testing.T) {
	o := options(t, filepath.Join(t.TempDir(), "sessions.db"), 1)
	before, kept := unusedFile(t, o)
	s := open(t, o)
	after, err := os.Stat(o.Path)
	if err != nil || after.Size() >= before/4 {
		t.Errorf("%d bytes, before %d, %v", after.Size(), before, err)
	}
	if storetest.Load(t, s, kept) == nil || s.Len() != 1 {
		t.Error("the session is gone")
	}
	if left, _ := filepath.Glob(o.Path + "?*"); len(left) > 0 {
		t.Errorf("left behind: %s", left)
	}
}

// A file that can't be written anew, as when the disk is full, is used as it is.
func TestNoCompaction(t *testing.T) {
	o := options(t, filepath.Join(t.TempDir(), "sessions.db"), 1)
	var log strings.Builder
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	before, kept := unusedFile(t, o)
	if err := os.MkdirAll(filepath.Join(o.Path+".compact", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := open(t, o)
	if storetest.Load(t, s, kept) == nil {
		t.Error("the session is gone")
	}
	if info, err := os.Stat(o.Path); err != nil || info.Size() != before {
		t.Errorf("%v, %v; before %d bytes", info, err, before)
	}
	if !strings.Contains(log.String(), "can't be compacted") {
		t.Errorf("logged: %s", log.String())
	}
}

func TestDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("not a session file"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := New(options(t, path, 1)).Open(); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("%v", err)
	}
	if err := New(options(t, filepath.Join(path, "x"), 1)).Open(); err == nil {
		t.Error("a file in a file is opened")
	}
}

// Whoever waits for a swap can leave.
func TestSwapContext(t *testing.T) {
	s := open(t, options(t, filepath.Join(t.TempDir(), "sessions.db"), 1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	done, err := s.CompareAndSwap(ctx, storetest.NewToken(), nil, storetest.NewRecord(1))
	if err == nil && !done || err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", done, err)
	}
}

// TestSwapThatIsNotDone: a swap that the writer doesn't come to reports no success.
func TestSwapThatIsNotDone(t *testing.T) {
	s := New(options(t, filepath.Join(t.TempDir(), "sessions.db"), 1))
	if err := s.open(lockWait); err != nil { // and no writer
		t.Fatal(err)
	}
	defer s.Close()
	fails := func(ctx context.Context, want error) {
		t.Helper()
		for range 50 { // before it is queued, or afterwards
			if swapped, err := s.CompareAndSwap(ctx, storetest.NewToken(), nil, storetest.NewRecord(1)); swapped || !errors.Is(err, want) {
				t.Fatalf("%v, %v; want %v", swapped, err, want)
			}
		}
	}
	left, leave := context.WithCancel(t.Context())
	leave()
	fails(left, context.Canceled)
	s.cancel()
	fails(t.Context(), errClosed)
}
