package proxy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"mkd/config"
)

// writes is a path that mkd writes to, and the key that names it.
type writes struct {
	key, path string
	file      bool // else a folder
}

// writtenBy returns what mkd writes to with a configuration.
func writtenBy(cfg *config.Config) []writes {
	dir := cfg.Limits.Spool.Dir
	if dir == "" {
		dir = os.TempDir()
	}
	list := []writes{{"limits.spool.dir", dir, false}}
	if path := cfg.Log.Output.File; path != "" {
		list = append(list, writes{"log.output.file", path, true})
	}
	if s := cfg.Sessions.Store; s != nil && s.File != nil {
		list = append(list, writes{"sessions.store.file.path", s.File.Path, true})
	}
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		if l.Megaki != nil || l.HTTPS != nil && (l.HTTPS.TLS.Internal || l.HTTPS.TLS.ACME != nil) {
			return append(list, writes{"storage", cfg.Storage.Path, false})
		}
	}
	return list
}

// checkWritable returns a warning for each path of a configuration that this process
// can't write to.
func checkWritable(cfg *config.Config) (warnings []string) {
	for _, w := range writtenBy(cfg) {
		if err := w.check(); err != nil {
			warnings = append(warnings, fmt.Sprintf("%s: mkd runs as %s, which can't write %s: %v; let this user write there, or choose another path", cfg.Position(w.key), userName(), w.path, err))
		}
	}
	return warnings
}

// What faccessat(2) checks.
const (
	mayWrite, mayEnter = 2, 1
	asEffectiveUser    = 0x200
	atWorkingDirectory = -100
)

// check returns why this process can't write there. What doesn't exist yet is made in the
// nearest folder that does.
func (w writes) check() error {
	mode := uint32(mayWrite)
	if !w.file {
		mode |= mayEnter
	}
	for path := w.path; ; path = filepath.Dir(path) {
		err := syscall.Faccessat(atWorkingDirectory, path, mode, asEffectiveUser)
		if !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			return err
		}
		mode |= mayEnter // what follows is a folder
	}
}

// at puts a position of the configuration in front of an error.
func at(position string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", position, err)
}

// userName returns the name of the user that this process runs as.
func userName() string {
	id := strconv.Itoa(os.Geteuid())
	if u, err := user.LookupId(id); err == nil && u.Username != "" {
		return u.Username
	}
	return "user " + id
}
