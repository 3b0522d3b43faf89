package proxy

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestDeployBySymlink switches a release under load: no request fails, and after the
// workers were replaced all of them run the new code.
func TestDeployBySymlink(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "current")
	release := func(n int) string {
		path := filepath.Join(dir, fmt.Sprint("release", n))
		code := `<?php require __DIR__ . '/version.php'; usleep(50_000); // a boot takes a while
			$ARCANGELO_USERSPACE = ['on_http' => function ($r) { usleep(1000); return VERSION . ' ' . basename(__DIR__); }];`
		for name, text := range map[string]string{"app.php": code, "version.php": fmt.Sprintf("<?php const VERSION = %d;", n)} {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(path, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	if err := os.Symlink(release(1), link); err != nil {
		t.Fatal(err)
	}
	p, _ := start(t, load(t, `
listeners: {web: {http: {address: "127.0.0.1:0"}}}
backends: {site: {php: {script: `+link+`/app.php, workers: {min: 4, max: 4}}}}
routes: [{backend: site}]
log: {access: false}
`))
	get := func() (string, error) {
		resp, err := http.Get("http://" + p.Addr("web").String() + "/")
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != 200 {
			err = fmt.Errorf("status %d", resp.StatusCode)
		}
		return string(body), err
	}
	var (
		stop   = make(chan struct{})
		served atomic.Int64
		load   sync.WaitGroup
	)
	for range 8 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				body, err := get()
				if err != nil || !strings.HasSuffix(body, "release"+body[:1]) { // no request sees parts of both
					t.Errorf("%q, %v", body, err)
					return
				}
				served.Add(1)
			}
		})
	}
	for n := 2; n <= 4; n++ {
		before := served.Load()
		for deadline := time.Now().Add(20 * time.Second); served.Load() < before+50 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		next := filepath.Join(dir, "next")
		if err := os.Symlink(release(n), next); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, link); err != nil {
			t.Fatal(err)
		}
		if err := p.RestartWorkers(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if body, err := get(); err != nil || body != fmt.Sprintf("%d release%[1]d", n) {
				t.Fatalf("after the deploy of release %d: %q, %v", n, body, err)
			}
		}
	}
	close(stop)
	load.Wait()
	t.Logf("%d requests were served", served.Load())
}
