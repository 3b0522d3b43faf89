package proxy

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"mkd/config"
)

// asNobody does something as a user who may write nowhere but where all may.
func asNobody(do func()) {
	if os.Geteuid() != 0 {
		do()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	syscall.Setfsuid(65534) // of this thread, which loses root's capabilities with it
	defer syscall.Setfsuid(0)
	do()
}

// TestUnwritable: what mkd can't write to is a warning for each key, before a request or a
// certificate fails for it, and what doesn't exist yet is judged by its folder.
func TestUnwritable(t *testing.T) {
	dir, err := os.MkdirTemp("", "mkd-") // which others can enter
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	closed, open := filepath.Join(dir, "closed"), filepath.Join(dir, "open")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(closed, 0o555), os.Mkdir(open, 0o755), os.Chmod(open, 0o777),
		os.WriteFile(filepath.Join(closed, "own.log"), nil, 0o666), os.Chmod(filepath.Join(closed, "own.log"), 0o666)); err != nil {
		t.Fatal(err)
	}
	const megaki, plain = "app: {megaki: {address: ':1', keys: [server.key]}}", "web: {http: {address: ':1'}}"
	for _, c := range []struct{ name, listener, folder, log, want string }{
		{"all", megaki, closed, "mkd.log", "limits.spool.dir log.output.file sessions.store.file.path storage"},
		{"storage isn't needed", plain, closed, "mkd.log", "limits.spool.dir log.output.file sessions.store.file.path"},
		{"a file of its own", plain, closed, "own.log", "limits.spool.dir sessions.store.file.path"},
		{"none", megaki, open, "mkd.log", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(dir, "config.yaml")
			text := "listeners: {" + c.listener + "}\nroutes: [{respond: {}}]\nlimits: {spool: {dir: F}}\nlog: {output: {file: F/" + c.log +
				"}}\nsessions: {store: {file: {path: F/sessions.db}}, secret_file: server.key}\nstorage: F/new/storage\n"
			if err := errors.Join(os.WriteFile(file, []byte(strings.ReplaceAll(text, "F", c.folder)), 0o600),
				os.WriteFile(filepath.Join(dir, "server.key"), nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			cfg, err := config.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			var keys []string
			asNobody(func() {
				for _, w := range checkWritable(cfg) {
					position, rest, _ := strings.Cut(strings.TrimPrefix(w, file+":"), ": mkd runs as ")
					if !strings.Contains(rest, ", which can't write "+c.folder) || !strings.HasSuffix(rest, ": permission denied; let this user write there, or choose another path") {
						t.Error(w)
					}
					_, key, _ := strings.Cut(position, ": ") // behind the line and the column
					keys = append(keys, key)
				}
			})
			if have := strings.Join(keys, " "); have != c.want {
				t.Errorf("have %s\nwant %s", have, c.want)
			}
		})
	}
}
