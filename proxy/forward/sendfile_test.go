package forward

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"mkd/config"
)

// TestSendFileNames: X-Sendfile may name the folder as it is configured or as it
// is, and X-Accel-Redirect begins with the prefix.
func TestSendFileNames(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "releases/1/files"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("releases/1", filepath.Join(dir, "current")); err != nil {
		t.Fatal(err)
	}
	s := NewSendFile(&config.SendFile{Root: dir + "/current/files", Prefix: "/protected"})
	for _, c := range []struct{ field, value, want string }{
		{"X-Sendfile", dir + "/current/files/a b.pdf", "/a b.pdf"},
		{"X-Sendfile", dir + "/releases/1/files/sub/a.pdf", "/sub/a.pdf"},
		{"X-Sendfile", dir + "/releases/1/files/../files/a.pdf", "/a.pdf"},
		{"X-Sendfile", dir + "/releases/1/files/../secret", ""},
		{"X-Sendfile", dir + "/releases/1/filesecret", ""},
		{"X-Sendfile", "/etc/passwd", ""},
		{"X-Sendfile", "a.pdf", ""},
		{"X-Accel-Redirect", "/protected/a%20b.pdf", "/a b.pdf"},
		{"X-Accel-Redirect", "/protected/a.pdf?as=b", "/a.pdf"},
		{"X-Accel-Redirect", "/protected/a%3Fb", "/a?b"},
		{"X-Accel-Redirect", "/protectedsecret", ""},
		{"X-Accel-Redirect", "/other/a.pdf", ""},
		{"X-Accel-Redirect", "/protected/%zz", ""},
		{"X-Accel-Redirect", "/protected", ""},
	} {
		h := http.Header{c.field: {c.value}}
		if got := s.path(h); got != c.want || !s.Names(h) {
			t.Errorf("%s: %s: %q, want %q", c.field, c.value, got, c.want)
		}
	}
	if s.Names(http.Header{}) {
		t.Error("a file without a field")
	}
	if s = NewSendFile(nil); s.Names(http.Header{"X-Sendfile": {"/etc/passwd"}}) {
		t.Error("a file without a configuration")
	}
}
