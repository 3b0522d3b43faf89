package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// leastCompacted is the size of the smallest file that is compacted, in bytes.
	leastCompacted = 4 << 20
	// compactTx is how much is copied in one transaction, in bytes.
	compactTx = 1 << 20
)

// compact writes the file anew if more than half of it is unused: a file never shrinks
// by itself. If it can't be, as when the disk is full, the file stays as it is.
func (s *Store) compact(wait time.Duration) (err error) {
	path := s.opts.Path
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() < leastCompacted {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the session file: %w", err)
	}
	old, err := openFile(path, wait)
	if err != nil {
		return err
	}
	defer func() {
		if errors.As(err, new(*damageError)) {
			go closeDamaged(old)
		} else {
			old.Close()
		}
	}()
	free := int64(old.Stats().FreePageN+old.Stats().PendingPageN) * int64(old.Info().PageSize)
	if 2*free < info.Size() {
		return nil
	}
	err = rewrite(old)
	if err != nil && !errors.As(err, new(*damageError)) {
		s.opts.Logger.Warn("the session file can't be compacted, and stays larger than it has to be", "file", path, "bytes", info.Size(), "error", err)
		return nil
	}
	return err
}

// rewrite puts a copy of an open file, without what is unused, into its place.
func rewrite(old *bolt.DB) error {
	path := old.Path()
	temporary := path + ".compact"
	os.Remove(temporary) // of an attempt that a crash ended
	next, err := openFile(temporary, lockWait)
	if err != nil {
		return err
	}
	err = using(path, func() error { return bolt.Compact(next, old, compactTx) })
	if closed := next.Close(); err == nil {
		err = closed
	}
	if err == nil {
		// The lock is the old file's, and lasts until that is closed: nobody opens
		// the new one before it is in place.
		err = os.Rename(temporary, path)
	}
	if err != nil {
		os.Remove(temporary)
		return fmt.Errorf("writing %s: %w", temporary, err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir has a renamed file survive a crash of the machine.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
