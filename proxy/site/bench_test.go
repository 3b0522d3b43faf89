package site

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// discard is a ResponseWriter that discards everything.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// nursery makes a release to which a symlink leads, with a file of 4 KiB.
func nursery(b *testing.B) *Files {
	dir := b.TempDir()
	plant(b, dir, "releases/1/public/assets/css/site.css", "releases/1/public/index.php", "releases/1/public/admin/area/index.php", "current -> releases/1")
	if err := os.WriteFile(filepath.Join(dir, "current/public/assets/css/site.css"), make([]byte, 4<<10), 0o644); err != nil {
		b.Fatal(err)
	}
	f := &Files{Root: filepath.Join(dir, "current/public")}
	b.Cleanup(f.Close)
	return f
}

// BenchmarkServe gets a file of 4 KiB from Files and from http.FileServer, which
// opens the whole path and checks less. The last run prints the ratio.
func BenchmarkServe(b *testing.B) {
	f := nursery(b)
	r := httptest.NewRequest("GET", "/assets/css/site.css", nil)
	ours, theirs := handler(f), http.FileServer(http.Dir(f.Root))
	serve := func(h http.Handler) { h.ServeHTTP(&discard{make(http.Header)}, r) }
	for name, h := range map[string]http.Handler{"Files": ours, "FileServer": theirs} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				serve(h)
			}
		})
	}
	b.Run("ratio", func(b *testing.B) {
		var took [2]time.Duration
		for b.Loop() {
			for i, h := range []http.Handler{ours, theirs} {
				start := time.Now()
				serve(h)
				took[i] += time.Since(start)
			}
		}
		b.ReportMetric(float64(took[0])/float64(took[1]), "Files/FileServer")
	})
}

// BenchmarkServeOverTCP does the same over loopback connections, where sendfile
// counts.
func BenchmarkServeOverTCP(b *testing.B) {
	f := nursery(b)
	if err := os.WriteFile(filepath.Join(f.Root, "big.bin"), make([]byte, 4<<20), 0o644); err != nil {
		b.Fatal(err)
	}
	for _, target := range []string{"/assets/css/site.css", "/big.bin"} {
		for name, h := range map[string]http.Handler{"Files": handler(f), "FileServer": http.FileServer(http.Dir(f.Root))} {
			b.Run(name+target, func(b *testing.B) {
				server := httptest.NewServer(h)
				defer server.Close()
				buf := make([]byte, 64<<10)
				for b.Loop() {
					resp, err := http.Get(server.URL + target)
					if err != nil {
						b.Fatal(err)
					}
					n := int64(0)
					for err == nil {
						var m int
						m, err = resp.Body.Read(buf)
						n += int64(m)
					}
					resp.Body.Close()
					b.SetBytes(n)
				}
			})
		}
	}
}

// BenchmarkRoot measures how long each request takes to look where the root leads.
func BenchmarkRoot(b *testing.B) {
	f := nursery(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := f.tree.with(f.Root, func(*release) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	s := &Scripts{Files: nursery(b), Try: []string{"{path}", "{path}/", "/index.php"}}
	for name, p := range map[string]string{"script": "/index.php", "path info": "/index.php/users/7", "deep": "/admin/area/", "front controller": "/users/7", "file": "/assets/css/site.css"} {
		u := &url.URL{Path: p}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Find(u); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
