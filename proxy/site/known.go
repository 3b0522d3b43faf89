package site

import (
	"io/fs"
	"net/http"
	"sync"
	"time"
)

// maxKnown is how many paths Files remembers. Clients choose paths, but only those
// of files that may be served are remembered.
const maxKnown = 1000

// contentAge is how long a content counts. What a program writes into a file by mmap
// may not change its time for a while, and a network's file system may look late.
const contentAge = 5 * time.Second

// maxContent is the size in bytes of the largest file whose content is remembered, and
// maxContents that of all together.
const (
	maxContent  = 16 << 10
	maxContents = 8 << 20
)

// known is what was found about the file at a path, as long as it is the same and
// unchanged.
type known struct {
	id           identity
	info         fs.FileInfo
	etag         string // "": made for each response, as long as the file is young
	lastModified string
	kind         mediaKind
	content      []byte    // nil: it is read from the disk
	read         time.Time // when content was
}

// knownFiles remembers files by path. The zero value is empty.
type knownFiles struct {
	mu    sync.RWMutex
	files map[string]*known
	size  int // of the contents, in bytes
}

// get returns what is known of the file at a path; nil: nothing. A file that was
// renamed, or whose mode or content has changed, isn't known.
func (k *knownFiles) get(p string, info fs.FileInfo) *known {
	if found := k.find(p); found != nil {
		if id, ok := identify(info); ok && id == found.id {
			return found
		}
	}
	return nil
}

func (k *knownFiles) find(p string) *known {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.files[p]
}

// put remembers that the file at a path may be served. If there are too many, it
// forgets the others.
func (k *knownFiles) put(p string, found *known) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.files == nil || len(k.files) >= maxKnown || k.size+len(found.content) > maxContents {
		k.files, k.size = make(map[string]*known), 0
	}
	if had := k.files[p]; had != nil {
		k.size -= len(had.content)
	}
	k.files[p] = found
	k.size += len(found.content)
}

// unchanged returns the identity of a file. It reports false if it has none, or if
// the file has changed so recently that another change could have the same time.
func unchanged(info fs.FileInfo, now time.Time) (identity, bool) {
	id, ok := identify(info)
	return id, ok && now.Sub(id.changed()) >= young && now.Sub(info.ModTime()) >= young
}

// remember remembers a file that may be served, if it is unchanged.
func (f *Files) remember(p string, info fs.FileInfo) *known {
	now := time.Now()
	id, ok := unchanged(info, now)
	if !ok {
		return nil
	}
	found := &known{id: id, info: info}
	if modified := modifiedAt(info); !modified.IsZero() {
		found.etag = entityTag(modified, info.Size(), now, "")
		found.lastModified = modified.UTC().Format(http.TimeFormat)
	}
	found.kind = f.kindOf(p)
	f.known.put(p, found)
	return found
}

// inMemory returns what is known of the file at a path if that has its content; nil:
// nothing. The root sees to it that the path doesn't lead out of it by now.
func (f *Files) inMemory(r *release, p string) *known {
	found := f.known.find(p)
	if found == nil || found.content == nil || time.Since(found.read) > contentAge {
		return nil
	}
	info, err := r.Lstat(below(p))
	if err != nil || f.known.get(p, info) != found {
		return nil
	}
	return found
}

// rememberContent remembers the content of a small file that is known. It does so when
// the file is asked for once more, so that a walk over all files costs no memory.
func (f *Files) rememberContent(p string, o *opened) {
	if o.info.Size() > maxContent {
		return
	}
	content := make([]byte, o.info.Size())
	if _, err := o.file.ReadAt(content, 0); err != nil && len(content) > 0 {
		return
	}
	// It may have changed while it was read.
	if info, err := o.file.Stat(); err != nil || f.known.get(p, info) != o.known {
		return
	}
	found := *o.known
	found.content, found.read = content, time.Now()
	f.known.put(p, &found)
}
