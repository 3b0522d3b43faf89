package auth

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxUsersFile is the largest file of users, in bytes.
const maxUsersFile = 16 << 20

// users are the users of a file.
type users struct {
	hashes map[string]hashed
	all    []hashed
}

// hashOf returns the hash with which a name's password is compared: for a name that isn't
// known that of some user, always of the same, so that it takes as long.
func (u *users) hashOf(name string, secret []byte) (hash hashed, known bool) {
	if hash, known = u.hashes[name]; !known {
		which := keyOf(secret, name)
		hash = u.all[binary.BigEndian.Uint64(which[:])%uint64(len(u.all))]
	}
	return hash, known
}

// parseUsers reads lines of a name, a colon and a hash. Empty lines and those that begin
// with # don't count. Its error has all that is wrong.
func parseUsers(name string, r io.Reader) (*users, error) {
	u := &users{hashes: make(map[string]hashed)}
	var errs []error
	lines := bufio.NewScanner(io.LimitReader(r, maxUsersFile))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		user, hash, ok := strings.Cut(line, ":")
		if !ok || user == "" {
			errs = append(errs, fmt.Errorf("%s:%d: want a name, a colon and a hash", name, n))
			continue
		}
		h, err := parseHash(hash)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: the user %q: %w", name, n, user, err))
			continue
		}
		if _, twice := u.hashes[user]; twice {
			errs = append(errs, fmt.Errorf("%s:%d: the user %q is in the file already", name, n, user))
			continue
		}
		u.hashes[user] = h
		u.all = append(u.all, h)
	}
	if err := lines.Err(); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", name, err))
	}
	if len(errs) == 0 && len(u.all) == 0 {
		errs = append(errs, fmt.Errorf("%s has no users; add one with htpasswd -B %[1]s NAME", name))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return u, nil
}

// recheck is how often the file is looked at.
const recheck = time.Second

// usersFile is a file of users, which is read anew when it changes.
type usersFile struct {
	path string
	logf func(format string, args ...any)

	current atomic.Pointer[users]
	mu      sync.Mutex
	checked time.Time
	seen    stamp
}

// stamp is by what a change is noticed.
type stamp struct {
	modified time.Time
	size     int64
}

func newUsersFile(path string, logf func(string, ...any)) (*usersFile, error) {
	f := &usersFile{path: path, logf: logf}
	return f, f.read()
}

func (f *usersFile) read() error {
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	f.seen = stamp{info.ModTime(), info.Size()}
	u, err := parseUsers(f.path, file)
	if err != nil {
		return err
	}
	f.current.Store(u)
	return nil
}

// users returns the users. If the file can't be read any more they stay as they were.
func (f *usersFile) users() *users {
	if f.mu.TryLock() {
		defer f.mu.Unlock()
		if now := time.Now(); now.Sub(f.checked) >= recheck {
			f.checked = now
			info, err := os.Stat(f.path)
			if err == nil && (stamp{info.ModTime(), info.Size()}) != f.seen {
				err = f.read()
			}
			if err != nil {
				f.logf("the users of %s stay as they were: %v", f.path, err)
			}
		}
	}
	return f.current.Load()
}
