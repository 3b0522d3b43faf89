package site

import (
	"io/fs"
	"syscall"
	"time"
)

// identity distinguishes a version of a file from others: each change of its content, its
// name or its mode sets the time of its last change.
type identity struct {
	device, inode uint64
	size          int64
	ctime, mtime  syscall.Timespec
}

// identify returns the identity of a file. It reports false if it has none.
func identify(info fs.FileInfo) (identity, bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return identity{}, false
	}
	return identityOf(s), true
}

func identityOf(s *syscall.Stat_t) identity {
	return identity{uint64(s.Dev), s.Ino, s.Size, s.Ctim, s.Mtim}
}

// changed returns when the file last changed.
func (id identity) changed() time.Time { return time.Unix(id.ctime.Unix()) }
