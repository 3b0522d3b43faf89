// Package watch reports when files have changed, for development.
package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Changes come in bursts: an editor writes a file in several steps, a checkout many
// files. Watcher reports once after a burst, or during one that lasts long.
const (
	quiet  = 50 * time.Millisecond
	atMost = 500 * time.Millisecond
)

// Watcher watches files and folders with all that is below them. Folders whose name
// begins with a dot, and node_modules, are left out, and so are the temporary files of
// editors.
type Watcher struct {
	notify  *fsnotify.Watcher
	folders []string // watched with all below
	files   map[string]bool
	changed func(path string)
	ended   sync.WaitGroup
}

// New watches paths. It calls changed, in one goroutine, with the path of one of the
// files that have changed.
func New(paths []string, changed func(path string)) (*Watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, explain(err)
	}
	w := &Watcher{notify: notify, files: make(map[string]bool), changed: changed}
	for _, path := range paths {
		if err := w.add(path); err != nil {
			notify.Close()
			return nil, err
		}
	}
	w.ended.Go(w.run)
	return w, nil
}

// Close stops watching, and waits for the end of a call of changed.
func (w *Watcher) Close() error {
	err := w.notify.Close()
	w.ended.Wait()
	return err
}

// add watches a file or a folder. A file is watched by its folder: many editors
// replace it by another.
func (w *Watcher) add(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return err
	}
	isFile := false
	err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && name == path:
			return err
		case err != nil: // it vanished, or can't be read
			return nil
		case !d.IsDir():
			isFile = isFile || name == path
			return nil
		case name != path && leftOut(d.Name()):
			return filepath.SkipDir
		}
		return explain(w.notify.Add(name))
	})
	if err != nil {
		return err
	}
	if isFile {
		w.files[path] = true
		return explain(w.notify.Add(filepath.Dir(path)))
	}
	w.folders = append(w.folders, path)
	return nil
}

// leftOut reports whether a folder isn't watched.
func leftOut(name string) bool { return strings.HasPrefix(name, ".") || name == "node_modules" }

// concerns reports whether a change is one of what is watched.
func (w *Watcher) concerns(e fsnotify.Event) bool {
	name := filepath.Base(e.Name)
	if e.Op == fsnotify.Chmod || strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || strings.HasSuffix(name, ".tmp") || name == "4913" {
		return false // 4913 is what vi tries whether it can write
	}
	if w.files[e.Name] {
		return true
	}
	for _, folder := range w.folders {
		if e.Name == folder || strings.HasPrefix(e.Name, folder+string(filepath.Separator)) {
			return true
		}
	}
	return false
}

// run reports changes until Close.
func (w *Watcher) run() {
	var path string     // of the first change that wasn't reported
	var since time.Time // of that change
	var due <-chan time.Time
	for {
		select {
		case e, ok := <-w.notify.Events:
			if !ok {
				return
			}
			if !w.concerns(e) {
				continue
			}
			if e.Has(fsnotify.Create) {
				w.addBelow(e.Name)
			}
			if due == nil {
				path, since = e.Name, time.Now()
			}
			due = time.After(max(0, min(quiet, atMost-time.Since(since))))
		case err, ok := <-w.notify.Errors:
			if !ok {
				return
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) && due == nil { // something has changed
				path, since = "many files", time.Now()
				due = time.After(quiet)
			}
		case <-due:
			due = nil
			w.changed(path)
		}
	}
}

// addBelow watches a new folder. Files that were made in it before are part of the
// change that is reported.
func (w *Watcher) addBelow(path string) {
	filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil
		case !d.IsDir():
			return nil
		case leftOut(d.Name()):
			return filepath.SkipDir
		}
		w.notify.Add(name)
		return nil
	})
}

// explain adds to an error what can be done about it.
func explain(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EMFILE) {
		return fmt.Errorf("%w: the system watches too many folders: raise fs.inotify.max_user_watches and max_user_instances, or watch fewer", err)
	}
	return err
}
