package backend

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mkd/config"
	"mkd/proxy/request"
)

// slowReader is a response whose client takes nothing until reads is closed.
type slowReader struct {
	http.ResponseWriter
	waits func()
	reads chan struct{}
}

func (w *slowReader) Write(p []byte) (int, error) {
	w.waits()
	<-w.reads
	return w.ResponseWriter.Write(p)
}

func (w *slowReader) Status() int                    { return 0 }
func (w *slowReader) Size() int64                    { return 0 }
func (w *slowReader) Finish() error                  { return nil }
func (w *slowReader) Reset() bool                    { return false }
func (w *slowReader) ChangeHeader(func(http.Header)) {}

// TestListingsAreShared: a client that reads nothing of the listings that it asks for made
// the daemon hold as many as there may be requests, of a megabyte each.
func TestListingsAreShared(t *testing.T) {
	root := t.TempDir()
	for i := range 4000 {
		if err := os.WriteFile(filepath.Join(root, fmt.Sprintf("file-%04d", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	made, err := newFiles(&config.Backend{Files: &config.Files{Root: root, Browse: true}}, Daemon{})
	if err != nil {
		t.Fatal(err)
	}
	b := made.(*filesBackend)
	defer b.Shutdown(t.Context())
	reads := make(chan struct{})
	var wg sync.WaitGroup
	// ask returns nil if the client gets a listing, of which it reads nothing yet.
	ask := func(client string) error {
		begun := make(chan error, 1)
		w := &slowReader{httptest.NewRecorder(), func() { begun <- nil }, reads}
		r := &request.Request{Request: httptest.NewRequest("GET", "/", nil), Client: netip.MustParseAddrPort(client)}
		wg.Go(func() {
			if err := b.Serve(w, r); err != nil {
				begun <- err
			}
		})
		select {
		case err := <-begun:
			return err
		case <-time.After(20 * time.Second):
			return fmt.Errorf("nothing came")
		}
	}
	listed := 0
	for ; listed < 100; listed++ {
		if err = ask("192.0.2.1:1"); err != nil {
			break
		}
	}
	if listed < 20 || listed > 60 || request.Status(err) != 503 {
		t.Errorf("a client holds %d listings, and then gets %v", listed, err)
	}
	if err := ask("192.0.2.2:1"); err != nil {
		t.Errorf("another client gets %v", err)
	}
	close(reads)
	wg.Wait()
	if n := b.listings.InUse(); n != 0 {
		t.Errorf("%d bytes are left in use", n)
	}
}
