package cgi

import (
	"fmt"
	"os"
	"path/filepath"
)

// codeSuffix ends the name of the folder with compiled scripts. It begins like that of
// the socket's folder.
const codeSuffix = "-code"

// fileCache is OPcache's setting for that folder.
const fileCache = "opcache.file_cache"

// codeFolder returns the folder for compiled scripts that belongs to a socket.
func codeFolder(socket string) string { return filepath.Dir(socket) + codeSuffix }

// makeCodeCache makes a folder in which the processes share what one of them has
// compiled, unless the settings name one. It belongs to their user alone: whoever can
// write there can run any code.
func (s *Server) makeCodeCache() error {
	if _, given := s.opt.Ini[fileCache]; given {
		return nil
	}
	if s.identity.Credential() != nil && !entered(s.opt.SocketDir) {
		return nil // php-cgi doesn't start with a folder that it can't reach
	}
	path := codeFolder(s.address)
	if err := os.Mkdir(path, 0o700); err != nil {
		return fmt.Errorf("making the folder for compiled scripts: %w", err)
	}
	if c := s.identity.Credential(); c != nil {
		if err := os.Chown(path, int(c.Uid), int(c.Gid)); err != nil {
			os.Remove(path)
			return fmt.Errorf("giving the folder for compiled scripts to the user of php-cgi: %w", err)
		}
	}
	s.codeCache = path
	return nil
}

// entered reports whether every user can enter a folder and all above it.
func entered(dir string) bool {
	for {
		info, err := os.Stat(dir)
		if err != nil || info.Mode()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
		dir = filepath.Dir(dir)
	}
}
