package spill

import (
	"os"
	"testing"
)

// TestFile: the file has no name, and can be read again.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	f, err := File(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
		t.Errorf("%v, %v", left, err)
	}
	f.WriteString("text")
	got := make([]byte, 4)
	if _, err := f.ReadAt(got, 0); string(got) != "text" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := File(dir + "/gone"); err == nil {
		t.Error("a file in a folder that doesn't exist")
	}
}
