package route

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"mkd/proxy/request"
)

// heldPage is a response that keeps what is written, as one whose client reads slowly.
type heldPage struct {
	pageWriter
	held []byte
}

func (w *heldPage) Write(p []byte) (int, error) {
	w.held = p
	return len(p), nil
}

// TestPagesAreShared: each client that read nothing of a page held a copy of it, of up to
// 1 MiB.
func TestPagesAreShared(t *testing.T) {
	name := filepath.Join(t.TempDir(), "page.html")
	content := bytes.Repeat([]byte("page"), maxPage/4)
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	file := newPage(name, "")
	all := &pages{sources: map[string]pageSource{"404": file}}
	var held [2]heldPage
	for i := range held {
		held[i].header = make(http.Header)
	}
	if err := file.respond(&held[0], 200); err != nil {
		t.Fatal(err)
	}
	request.RespondError(&held[1], request.ErrNoRoute, all)
	for i := range held {
		if !bytes.Equal(held[i].held, content) {
			t.Errorf("response %d has %d bytes", i, len(held[i].held))
		}
	}
	if unsafe.SliceData(held[0].held) != unsafe.SliceData(held[1].held) {
		t.Error("a response has a copy of the page")
	}
}

// TestPageType: the types of pages came from the machine's table, of which each has
// another.
func TestPageType(t *testing.T) {
	for name, want := range map[string]string{
		"a.html": "text/html; charset=utf-8", "a.txt": "text/plain; charset=utf-8", "a.css": "text/css; charset=utf-8",
		"a.JSON": "application/json", "a.ts": "video/mp2t", "a.map": "application/json", "a.yaml": "application/yaml",
		"a.xyz": "application/octet-stream", "a": "application/octet-stream", "a.html/b": "application/octet-stream",
	} {
		if got := newPage(name, "").contentType; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if got := newPage("a.html", "text/x-own").contentType; got != "text/x-own" {
		t.Errorf("the configured type: %s", got)
	}
}
