package php

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"mkd/php/internal/process"
	"mkd/share"
)

// uploadsPrefix begins the name of a folder of uploaded files.
const uploadsPrefix = "mkd-uploads-"

// uploads is the folder with the uploaded files of a pool, for as long as their
// requests last. It belongs to the workers' user, who may move files out of it: so
// all access to it goes through a Root, and never follows a link.
//
// A file is removed when its request is over, however it ended. A daemon that was
// killed leaves its folder behind. The next daemon removes it: the lock on the folder
// shows that nobody uses it.
type uploads struct {
	dir      string      // the parent
	bytes    *share.Pool // that all files and fields may take, shared fairly by clients
	uid, gid int         // of the workers; -1: this process's

	mu     sync.Mutex
	closed bool
	path   string // "": not created yet
	root   *os.Root
	lock   *os.File
}

func newUploads(opt *Options, id *process.Identity) *uploads {
	u := &uploads{dir: opt.UploadDir, bytes: share.NewPool(opt.UploadTotal, 0), uid: -1, gid: -1}
	if c := id.Credential(); c != nil {
		u.uid, u.gid = int(c.Uid), int(c.Gid)
	}
	return u
}

// open creates the folder, unless it exists.
func (u *uploads) open() (*os.Root, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.closed:
		return nil, ErrClosed
	case u.root != nil:
		return u.root, nil
	}
	for range 10 {
		path, err := os.MkdirTemp(u.dir, uploadsPrefix)
		if err != nil {
			return nil, err
		}
		root, lock, err := u.claim(path)
		if err == nil {
			u.path, u.root, u.lock = path, root, lock
			return root, nil
		}
		os.Remove(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("another process removes the folders for uploads in %s", u.dir)
}

// claim locks a folder that was just created, and gives it to the workers' user.
// fs.ErrNotExist means that another daemon took it for one that was left behind.
func (u *uploads) claim(path string) (*os.Root, *os.File, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, nil, err
	}
	lock, err := lockFolder(root)
	if err != nil {
		root.Close()
		return nil, nil, err
	}
	mine, err1 := lock.Stat()
	now, err2 := os.Lstat(path)
	if err = errors.Join(err1, err2); err == nil && !os.SameFile(mine, now) {
		err = fs.ErrNotExist
	}
	if err == nil {
		err = errors.Join(lock.Chown(u.uid, u.gid), lock.Chmod(0o700)) // whatever the umask is
	}
	if err != nil {
		lock.Close()
		root.Close()
		return nil, nil, err
	}
	return root, lock, nil
}

// lockFolder locks a folder for as long as the file is open. fs.ErrNotExist means
// that another process has locked it.
func lockFolder(root *os.Root) (*os.File, error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fs.ErrNotExist
	}
	return f, nil
}

// create creates a file for an upload. It returns the file and its name.
func (u *uploads) create() (*os.File, string, error) {
	root, err := u.open()
	if err != nil {
		return nil, "", err
	}
	name := rand.Text()
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, "", err
	}
	if err := errors.Join(f.Chown(u.uid, u.gid), f.Chmod(0o600)); err != nil {
		f.Close()
		root.Remove(name)
		return nil, "", err
	}
	return f, name, nil
}

// full returns the error for bytes that there is no room for.
func (u *uploads) full() error {
	return &FormError{http.StatusInsufficientStorage, fmt.Errorf("the forms being received, or those of this client its share, take all of %d bytes", u.bytes.Limit())}
}

// remove removes a file, unless the script has moved it.
func (u *uploads) remove(name string) { u.root.Remove(name) }

// close removes the folder.
func (u *uploads) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.root != nil && !u.closed {
		discard(u.path, u.root)
		u.lock.Close()
	}
	u.closed = true
}

// sweep removes the folders that killed daemons have left behind.
func (u *uploads) sweep() {
	parent, err := os.OpenRoot(u.dir)
	if err != nil {
		return
	}
	defer parent.Close()
	entries, err := fs.ReadDir(parent.FS(), ".")
	if err != nil {
		return
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), uploadsPrefix) {
			continue
		}
		root, err := parent.OpenRoot(e.Name())
		if err != nil {
			continue
		}
		if lock, err := lockFolder(root); err == nil {
			if u.mayRemove(parent, e.Name(), lock) {
				discard(filepath.Join(u.dir, e.Name()), root)
			}
			lock.Close()
		}
		root.Close()
	}
}

// mayRemove reports whether a folder is what its name claims: others may create files
// and links in the folder for temporary files.
func (u *uploads) mayRemove(parent *os.Root, name string, opened *os.File) bool {
	mine, err1 := opened.Stat()
	now, err2 := parent.Lstat(name) // doesn't follow a link
	if errors.Join(err1, err2) != nil || !now.IsDir() || !os.SameFile(mine, now) {
		return false
	}
	owner := int(mine.Sys().(*syscall.Stat_t).Uid)
	return owner == os.Geteuid() || owner == u.uid
}

// discard removes a folder with its files, and closes it.
func discard(path string, root *os.Root) {
	if dir, err := root.Open("."); err == nil {
		names, _ := dir.Readdirnames(-1)
		dir.Close()
		for _, name := range names {
			root.RemoveAll(name)
		}
	}
	root.Close()
	os.Remove(path)
}
