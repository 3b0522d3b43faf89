package php

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestClientThatLeaves: a generator whose client has left ends, and the worker goes
// on.
func TestClientThatLeaves(t *testing.T) {
	p, _ := httpPool(t)
	pid := get(t, p, "/pid").body.String()
	gone := errors.New("the client has left")
	for name, w := range map[string]*recorder{"body": {refuse: gone}, "head": {decline: gone}} {
		done := filepath.Join(t.TempDir(), "done")
		if err := p.DoHTTP(t.Context(), httpCall("GET", "/endless?done="+done, nil, ""), w); err != gone {
			t.Errorf("%s: error %v", name, err)
		}
		if _, err := os.Stat(done); err != nil {
			t.Errorf("%s: the generator didn't end: %v", name, err)
		}
	}
	if err := p.DoHTTP(t.Context(), httpCall("GET", "/big?n=10000000", nil, ""), &recorder{refuse: gone}); err != gone {
		t.Errorf("error %v", err)
	}
	if err := p.DoHTTP(t.Context(), httpCall("GET", "/hello", nil, ""), &recorder{refuse: gone}); err != gone {
		t.Errorf("error %v", err)
	}
	if got := get(t, p, "/pid").body.String(); got != pid {
		t.Error("the worker was replaced")
	}
}

// TestAbortedDownloadKeepsTheWorker: a body of a known length that ends early
// because its client has left isn't the worker's fault. The error is the client's.
func TestAbortedDownloadKeepsTheWorker(t *testing.T) {
	p, _ := httpPool(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, make([]byte, 8<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	pid := get(t, p, "/pid").body.String()
	gone := errors.New("the client has left")
	for _, target := range []string{"/download?file=" + file, "/promisedparts"} {
		for name, w := range map[string]*recorder{"body": {refuse: gone}, "head": {decline: gone}} {
			if err := p.DoHTTP(t.Context(), httpCall("GET", target, nil, ""), w); err != gone {
				t.Errorf("%s, %s: error %v", target, name, err)
			}
		}
	}
	if got := get(t, p, "/pid").body.String(); got != pid {
		t.Error("the worker was replaced")
	}
	if w := get(t, p, "/download?file="+file); w.body.Len() != 8<<20 {
		t.Errorf("then there are %d bytes of it", w.body.Len())
	}
}
