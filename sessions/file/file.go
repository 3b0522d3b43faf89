// Package file keeps Megaki sessions in a file, so that they outlive the process and
// the machine's failures. One process at a time uses the file.
package file

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"mkd/megaki"
	"mkd/sessions"
)

// DefaultCapacity is the number of sessions if Options.Capacity is 0.
const DefaultCapacity = megaki.DefaultSessions

const (
	queued        = 1024                   // swaps that wait for the next transaction
	lockWait      = 300 * time.Millisecond // that Open waits for another process
	sweepTime     = time.Minute            // between two removals of what has expired
	takeOverTime  = 100 * time.Millisecond // between two attempts to open a file that another process has
	openAgainTime = 10 * time.Second       // between two if the file can't be opened for another reason
	maxSweep      = 4096                   // sessions removed in one transaction
	maxUsed       = 1 << 17                // sessions whose use is known, of each set
)

// Options configure a Store. Path and Sealer must be given.
type Options struct {
	// Path of the file. It is made if it doesn't exist.
	Path string
	// Sealer seals the records.
	Sealer *sessions.Sealer
	// Capacity is the number of sessions kept. Beyond it, one that wasn't used lately is
	// forgotten, the first by its handshake: of the client that has most, if it has more
	// than a 64th of them. What was used before Open isn't known.
	Capacity int
	// Logger logs what an operator should know. Default: nothing is logged.
	Logger *slog.Logger
}

// Store is a megaki.SessionStore in a file. A swap has reached the disk when
// CompareAndSwap returns: swaps of several connections share one write.
type Store struct {
	opts Options
	db   atomic.Pointer[bolt.DB] // nil until the file could be locked, and after damage
	len  atomic.Int64
	bad  atomic.Uint64

	damage atomic.Pointer[damageError] // nil: none was met

	clients *clients // belongs to Open and then to the writer
	used    *used

	queue  chan *swap
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
}

var (
	_ megaki.SessionStore = (*Store)(nil)
	_ megaki.Toucher      = (*Store)(nil)
)

// swap is a CompareAndSwap that waits for the writer.
type swap struct {
	token   megaki.Token
	old     []byte // the revision, nil: there must be no record
	client  sessions.ClientID
	sealed  []byte
	expires time.Time
	swapped bool
	done    chan error
}

var (
	errClosed = errors.New("the session file is closed")
	errLocked = errors.New("the session file isn't open, or is in use by another process")

	recordsBucket = []byte("sessions") // token: expiry, sealed record
	expiryBucket  = []byte("expiry")   // expiry, token: client
	clientsBucket = []byte("clients")  // client, expiry, token: nothing
)

// New returns a Store. It doesn't open the file yet: until then the Store fails.
func New(o Options) *Store {
	o.Capacity = cmp.Or(o.Capacity, DefaultCapacity)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{opts: o, used: newUsed(min(o.Capacity, maxUsed)), queue: make(chan *swap, queued)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Open opens the file, makes it if it doesn't exist, and compacts it if more than half
// of it is unused. If another process has the file, as the one that this one replaces,
// the Store fails until that one closes it. Open is called once.
func (s *Store) Open() error {
	err := s.open(lockWait)
	if err != nil && !errors.Is(err, errLocked) {
		return err
	}
	if err != nil {
		s.opts.Logger.Warn("the session file is in use by another process; sessions can't be resumed until that one closes it", "file", s.opts.Path)
	}
	s.work.Go(s.write)
	return nil
}

// open opens the file within a time.
func (s *Store) open(wait time.Duration) error {
	if err := s.compact(wait); err != nil {
		return err
	}
	db, err := openFile(s.opts.Path, wait)
	if err != nil {
		return err
	}
	n := 0
	err = using(s.opts.Path, func() error {
		return db.Update(func(tx *bolt.Tx) error {
			n, err = s.prepare(tx)
			return err
		})
	})
	if _, damaged := err.(*damageError); damaged {
		go closeDamaged(db)
		return err
	}
	if err != nil {
		db.Close()
		return fmt.Errorf("the session file %s: %w", s.opts.Path, err)
	}
	s.len.Store(int64(n))
	s.db.Store(db)
	return nil
}

// prepare makes what a new file doesn't have yet, and counts the sessions.
func (s *Store) prepare(tx *bolt.Tx) (n int, err error) {
	if _, err := tx.CreateBucketIfNotExists(recordsBucket); err != nil {
		return 0, err
	}
	if _, err := tx.CreateBucketIfNotExists(clientsBucket); err != nil {
		return 0, err
	}
	expiry, err := tx.CreateBucketIfNotExists(expiryBucket)
	if err != nil {
		return 0, err
	}
	s.clients = countClients(tx, s.opts.Capacity)
	return expiry.Stats().KeyN, nil
}

func openFile(path string, wait time.Duration) (db *bolt.DB, err error) {
	var f *os.File // db's
	open := func(path string, flag int, mode os.FileMode) (_ *os.File, err error) {
		f, err = os.OpenFile(path, flag, mode)
		return f, err
	}
	err = using(path, func() (err error) {
		db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: wait, FreelistType: bolt.FreelistMapType, OpenFile: open})
		return err
	})
	if _, damaged := err.(*damageError); damaged {
		return nil, err
	}
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, errLocked
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%s isn't a session file, or is damaged: %w; move it away, and sessions begin anew", path, err)
	case err != nil:
		return nil, fmt.Errorf("the session file %s: %w", path, err)
	case !isAt(path, f):
		db.Close()
		return nil, errLocked // until the other one is opened
	}
	return db, nil
}

// isAt reports whether an open file is the one at a path. The process that had it locked
// may have put another in its place, see rewrite.
func isAt(path string, f *os.File) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(opened, there)
}

// Close waits for the swaps in flight and closes the file.
func (s *Store) Close() error {
	s.cancel()
	s.work.Wait()
	if db := s.db.Swap(nil); db != nil {
		return db.Close()
	}
	return nil
}

// Len returns the number of sessions kept, those included that have expired and are
// not removed yet.
func (s *Store) Len() int { return int(s.len.Load()) }

// Unreadable returns how many records were found that no secret opens.
func (s *Store) Unreadable() uint64 { return s.bad.Load() }

// Load implements megaki.SessionStore.
func (s *Store) Load(_ context.Context, t megaki.Token) (*megaki.Record, error) {
	var sealed []byte
	err := s.use(func(db *bolt.DB) error {
		return db.View(func(tx *bolt.Tx) error {
			if value := tx.Bucket(recordsBucket).Get(t[:]); len(value) > 8 {
				sealed = bytes.Clone(value[8:])
			}
			return nil
		})
	})
	if err != nil || sealed == nil {
		return nil, err
	}
	r, err := s.opts.Sealer.Open(t, sealed)
	if err != nil {
		s.bad.Add(1)
		return nil, nil
	}
	if !time.Now().Before(r.Expires) {
		return nil, nil
	}
	s.used.add(t)
	return r, nil
}

// Touch implements megaki.Toucher. Nothing is written.
func (s *Store) Touch(t megaki.Token) { s.used.add(t) }

// absent returns why there is no file.
func (s *Store) absent() error {
	if s.ctx.Err() != nil {
		return errClosed
	}
	if d := s.damage.Load(); d != nil {
		return d
	}
	return errLocked
}

// CompareAndSwap implements megaki.SessionStore. If ctx ends, the swap may have been
// done all the same.
func (s *Store) CompareAndSwap(ctx context.Context, t megaki.Token, old, next *megaki.Record) (bool, error) {
	if s.db.Load() == nil {
		return false, s.absent()
	}
	w := &swap{token: t, client: s.opts.Sealer.Client(next.Client), sealed: s.opts.Sealer.Seal(t, next), expires: next.Expires, done: make(chan error, 1)}
	if old != nil {
		w.old = sessions.RevisionBytes(old.Revision)
	}
	select {
	case s.queue <- w:
	case <-ctx.Done():
		return false, ctx.Err()
	case <-s.ctx.Done():
		return false, errClosed
	}
	select {
	case err := <-w.done:
		return err == nil && w.swapped, err
	case <-ctx.Done():
		return false, ctx.Err()
	case <-s.ctx.Done():
		return false, errClosed
	}
}

func expiryOf(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(max(0, t.UnixMilli())))
}
