package cgi

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestCodeCache: what one process has compiled is in a folder that belongs to the user
// of the processes alone.
func TestCodeCache(t *testing.T) {
	users := []string{""}
	if os.Geteuid() == 0 {
		users = append(users, "www-data")
	}
	for _, user := range users {
		s := startSite(t, Options{Workers: 2, User: user})
		eventually(t, "a script is compiled", func() bool {
			s.get(t, "") // OPcache leaves out scripts that have just changed
			compiled := 0
			filepath.WalkDir(s.codeCache, func(path string, _ fs.DirEntry, _ error) error {
				if strings.HasSuffix(path, "kit.php.bin") {
					compiled++
				}
				return nil
			})
			return compiled > 0
		})
		info, err := os.Stat(s.codeCache)
		if err != nil {
			t.Fatal(err)
		}
		if uid := int(info.Sys().(*syscall.Stat_t).Uid); info.Mode().Perm() != 0o700 || (user != "") != (uid != os.Geteuid()) {
			t.Errorf("user %q: the folder has the mode %v and belongs to %d", user, info.Mode(), uid)
		}
	}
}

// TestOwnCodeCache: a folder of the configuration is used instead; and where the
// user of the processes can't reach one, there is none.
func TestOwnCodeCache(t *testing.T) {
	s := startSite(t, Options{Workers: 1, Ini: map[string]string{"opcache.file_cache": openDir(t, 0o777)}})
	s.get(t, "")
	if s.codeCache != "" {
		t.Error("a folder was made beside that of the configuration")
	}
	if os.Geteuid() == 0 {
		hidden := startSite(t, Options{Workers: 1, User: "www-data", SocketDir: openDir(t, 0o700)})
		hidden.get(t, "")
		if hidden.codeCache != "" {
			t.Error("a folder was made that the processes can't reach")
		}
	}
}
