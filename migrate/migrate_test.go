package migrate

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/*/config.yaml anew")

// TestSites migrates the sites of testdata.
func TestSites(t *testing.T) {
	files, err := filepath.Glob("testdata/*/nginx.conf")
	if err != nil || len(files) != 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		r, err := Nginx(file)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		golden := filepath.Join(filepath.Dir(file), "config.yaml")
		if *update {
			if err := os.WriteFile(golden, r.YAML, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if string(r.YAML) != string(want) {
			t.Errorf("%s: have\n%s\nwant\n%s", file, r.YAML, want)
		}
	}
}
