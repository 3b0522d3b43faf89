//go:build long

package proxy

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestLongLiveReload: in a real browser a page is loaded anew when a file changes.
func TestLongLiveReload(t *testing.T) {
	base, _, write := watchedSite(t)
	marks := t.TempDir()
	page := func(version int) string { // a page that reports itself
		return fmt.Sprintf(`return function ($r) {
			if (isset($r->query['shown'])) { touch('%s/' . (int) $r->query['shown']); return ''; }
			return '<p>page</p><script>fetch("/?shown=%d")</script>';
		};`, marks, version)
	}
	shown := func(version int) func() bool {
		return func() bool {
			_, err := os.Stat(fmt.Sprintf("%s/%d", marks, version))
			return err == nil
		}
	}
	write(page(1))
	awaitPage(t, base+"/", "shown=1")
	cmd := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--user-data-dir="+t.TempDir(), "--remote-debugging-port=0", base+"/")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	}()
	await := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the browser never %s", what)
			}
		}
	}
	await("shows the page", shown(1))
	for version := 2; version <= 4; version++ {
		began := time.Now()
		write(page(version))
		await(fmt.Sprintf("shows version %d", version), shown(version))
		t.Logf("version %d is shown after %v", version, time.Since(began))
	}
}
