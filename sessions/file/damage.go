package file

import (
	"fmt"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"
)

// using calls f, which uses a session file. bbolt panics at most kinds of damage, and its
// map of the file faults at some, as when the file was cut: that is the error of one store,
// and must not end the daemon.
func using(path string, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if v := recover(); v != nil {
			err = &damageError{path, v}
		}
	}()
	return f()
}

// damageError is what bbolt has panicked with.
type damageError struct {
	path string
	what any
}

func (d *damageError) Error() string {
	return fmt.Sprintf("the session file %s is damaged: %v; move it away, and sessions begin anew", d.path, d.what)
}

// use calls f with the open file. At damage the store fails from then on.
func (s *Store) use(f func(db *bolt.DB) error) error {
	db := s.db.Load()
	if db == nil {
		return s.absent()
	}
	err := using(s.opts.Path, func() error { return f(db) })
	if d, ok := err.(*damageError); ok && s.db.CompareAndSwap(db, nil) {
		s.damage.Store(d)
		s.opts.Logger.Error("sessions can't be resumed until mkd is restarted", "error", d)
		go closeDamaged(db)
	}
	return err
}

// closeDamaged closes a file whose locks a panic may have left held: then it never returns.
func closeDamaged(db *bolt.DB) { using(db.Path(), db.Close) }
