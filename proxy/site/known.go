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

// known is what was found about the file at a path, as long as it is the same and
// unchanged.
type known struct {
	id           identity
	etag         string // "": made for each response, as long as the file is young
	lastModified string
	kind         mediaKind
}

// knownFiles remembers files by path. The zero value is empty.
type knownFiles struct {
	mu    sync.RWMutex
	files map[string]*known
}

// get returns what is known of the file at a path; nil: nothing. A file that was
// renamed, or whose mode or content has changed, isn't known.
func (k *knownFiles) get(p string, info fs.FileInfo) *known {
	k.mu.RLock()
	found := k.files[p]
	k.mu.RUnlock()
	if found != nil {
		if id, ok := identify(info); ok && id == found.id {
			return found
		}
	}
	return nil
}

// put remembers that the file at a path may be served. If there are too many, it
// forgets the others.
func (k *knownFiles) put(p string, found *known) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.files == nil || len(k.files) >= maxKnown {
		k.files = make(map[string]*known)
	}
	k.files[p] = found
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
	found := &known{id: id}
	if modified := modifiedAt(info); !modified.IsZero() {
		found.etag = entityTag(modified, info.Size(), now, "")
		found.lastModified = modified.UTC().Format(http.TimeFormat)
	}
	found.kind = f.kindOf(p)
	f.known.put(p, found)
	return found
}
