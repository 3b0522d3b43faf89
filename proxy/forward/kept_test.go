package forward

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"mkd/config"
	"mkd/proxy/request"
)

// TestKept writes responses of several lengths in pieces of several sizes, and reads them
// again. Only their beginning is in memory, and nothing is left.
func TestKept(t *testing.T) {
	s := NewSpool(&config.Spool{Memory: 1000, MaxMemory: 2000, MaxTotal: 100_000, Dir: t.TempDir()})
	r := &request.Request{Request: &http.Request{}, Exempt: true}
	all := bytes.Repeat([]byte("0123456789abcdefghi"), 500)
	for _, length := range []int{0, 1, 511, 512, 513, 999, 1000, 1001, 5000, len(all)} {
		for _, piece := range []int{1, 7, 512, 1000, 1001, len(all)} {
			k := s.Keep(r)
			for rest := all[:length]; len(rest) > 0; {
				n, err := k.Write(rest[:min(piece, len(rest))])
				if err != nil || n != min(piece, len(rest)) {
					t.Fatalf("%d in pieces of %d: %d, %v", length, piece, n, err)
				}
				rest = rest[n:]
			}
			got, err := io.ReadAll(k.Reader())
			if err != nil || !bytes.Equal(got, all[:length]) {
				t.Errorf("%d in pieces of %d: %d bytes, %v", length, piece, len(got), err)
			}
			if inUse, memory := s.InUse(); inUse != int64(length) || memory > 1000 {
				t.Errorf("%d in pieces of %d: %d bytes are counted, %d in memory", length, piece, inUse, memory)
			}
			k.Close()
		}
	}
	k := s.Keep(r)
	for range 10 {
		if _, err := k.Write(all); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.Write(all); err != ErrSpoolFull {
		t.Errorf("beyond max_total: %v", err)
	}
	k.Close()
	if inUse, memory := s.InUse(); inUse != 0 || memory != 0 {
		t.Errorf("%d bytes are left, %d in memory", inUse, memory)
	}
}
