package site

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// tree is a root folder that stays open between requests, until its path leads to
// another folder.
type tree struct {
	mu  sync.Mutex
	now *release
}

// release is the folder to which the path of a root led at some time.
type release struct {
	*os.Root
	path string // absolute and free of symlinks; "" for /
	info fs.FileInfo
	uses int // by requests, and one by the tree while it is current; guarded by the tree's mu

	straight knownFiles // those to whose paths no symlink belongs
}

// with calls look with the folder to which the path of the root leads now. If look
// finds that a file was moved meanwhile (errMoved), it is called again.
func (t *tree) with(root string, look func(*release) error) error {
	const tries = 8
	for try := 1; ; try++ {
		r, err := t.acquire(root, try > 1)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRoot, err)
		}
		err = look(r)
		t.mu.Lock()
		r.leave()
		t.mu.Unlock()
		if err != errMoved || try == tries {
			return err // errMoved counts as an error of the disk: the request isn't its cause
		}
	}
}

// acquire returns the current release. It opens another one if the path of the root
// leads to another folder, or if afresh is set: a folder that was renamed is the
// same one, but has another path.
func (t *tree) acquire(root string, afresh bool) (*release, error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now == nil || afresh || !os.SameFile(info, t.now.info) {
		next, err := openRelease(root)
		if err != nil {
			return nil, err
		}
		if t.now != nil {
			t.now.leave()
		}
		t.now = next
	}
	t.now.uses++
	return t.now, nil
}

// close releases the current folder. The next request opens it again.
func (t *tree) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now != nil {
		t.now.leave()
		t.now = nil
	}
}

func openRelease(root string) (*release, error) {
	path, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	opened, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	info, err := opened.Stat(".")
	if err != nil {
		opened.Close()
		return nil, err
	}
	return &release{Root: opened, path: strings.TrimSuffix(path, "/"), info: info, uses: 1}, nil
}

// leave ends one use. The last one closes the folder. The tree's mu is held.
func (r *release) leave() {
	if r.uses--; r.uses == 0 {
		r.Close()
	}
}

// below returns the name for an os.Root of a URL's path.
func below(p string) string {
	if p = strings.Trim(p, "/"); p == "" {
		return "."
	}
	return p
}

// real returns the path without symlinks of the file below the root to which p led
// when info was taken. If another file is there by now, the error is errMoved.
func (r *release) real(p string, info fs.FileInfo) (string, error) {
	path := r.path + p
	if r.straight.get(p, info) != nil {
		return path, nil
	}
	links := false
	for end := len(r.path) + 1; end <= len(path) && !links; end++ {
		if end < len(path) && path[end] != '/' {
			continue
		}
		at, err := os.Lstat(path[:end])
		switch {
		case err != nil:
			return "", errMoved
		case at.Mode()&fs.ModeSymlink != 0:
			links = true
		case end == len(path) && os.SameFile(at, info):
			if id, ok := unchanged(info, time.Now()); ok {
				r.straight.put(p, &known{id: id})
			}
			return path, nil
		}
	}
	if !links {
		return "", errMoved
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil || !strings.HasPrefix(path, r.path+"/") {
		return "", errMoved
	}
	at, err := os.Lstat(path)
	if err != nil || !os.SameFile(at, info) {
		return "", errMoved
	}
	return path, nil
}
