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

// compact writes a file anew if more than half of it is unused: a file never shrinks
// by itself.
func compact(path string, wait time.Duration) (err error) {
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
	temporary := path + ".compact"
	os.Remove(temporary) // of an attempt that a crash ended
	next, err := openFile(temporary, wait)
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
		return fmt.Errorf("compacting the session file: %w", err)
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
