//go:build linux

package proxy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDiskFull: a body that the disk has no room for is 507, whether a backend
// needs it whole, a server or a worker, or it is a form with files.
func TestDiskFull(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=256k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the daemon's end, whose folder of uploads is there
		if err := syscall.Unmount(small, 0); err != nil {
			t.Error(err)
		}
	})
	worker := filepath.Join(t.TempDir(), "worker.php")
	if err := os.WriteFile(worker, []byte(`<?php $ARCANGELO_USERSPACE = ['on_http' => fn ($r) => new arca\Response('fine')];`), 0o644); err != nil {
		t.Fatal(err)
	}
	rec := newRecorder(t, nil)
	p, _ := allListeners(t, `
backends:
  buffered: {http: {upstreams: [{url: `+rec.URL+`}], buffer: true}}
  worker: {php: {script: `+worker+`, workers: {min: 1, max: 1}, uploads: {dir: `+small+`}}}
routes:
  - {match: {paths: [/buffered]}, backend: buffered}
  - backend: worker
limits: {spool: {dir: `+small+`, memory: 1KiB}}
`)
	large := strings.Repeat("x", 512<<10)
	for _, way := range everyWay {
		for _, body := range []string{large, "small"} {
			form := "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n" + body + "\r\n--b--\r\n"
			want := map[bool]int{true: 507, false: 200}[len(body) > 100]
			for kind, text := range map[string]string{"multipart/form-data; boundary=b": form, "text/plain": body} {
				for _, target := range []string{"/", "/buffered"} {
					if way.name == "megaki" && (kind == "text/plain" || target == "/buffered") {
						continue // its body is in the message, which no disk holds
					}
					g := way.send(t, p, &asked{method: "POST", target: target, fields: []string{"Host: x", "Content-Type: " + kind}, body: text})
					if g.status != want {
						t.Errorf("%s: %s: %d bytes of %s: %s", way.name, target, len(text), kind, fmt.Sprint(g))
					}
				}
			}
		}
	}
}
