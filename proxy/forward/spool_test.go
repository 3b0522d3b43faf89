package forward

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"mkd/config"
	"mkd/proxy/request"
)

// TestSpoolFails: a disk that takes no more is a fault of this side, not of the
// client or the script.
func TestSpoolFails(t *testing.T) {
	for err, want := range map[error]int{
		keepError(syscall.ENOSPC):                         507,
		keepError(syscall.EDQUOT):                         507,
		keepError(syscall.EIO):                            500,
		ErrSpoolFull:                                      503,
		&request.ClientError{Err: io.ErrUnexpectedEOF}:    400,
		&request.ClientError{Err: os.ErrDeadlineExceeded}: 408,
	} {
		if got := request.Status(err); got != want {
			t.Errorf("%v: %d", err, got)
		}
	}
	s := NewSpool(&config.Spool{Memory: 4, MaxMemory: 100, MaxTotal: 100, Dir: filepath.Join(t.TempDir(), "gone")})
	r, err := http.NewRequest("POST", "/", io.MultiReader(strings.NewReader("longer than that")))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = -1
	if _, err := s.Receive(&request.Request{Request: r}); request.Status(err) != 500 || s.bytes.InUse() != 0 {
		t.Errorf("%v, %d bytes left", err, s.bytes.InUse())
	}
}

// TestSpoolTakesMemoryAsBytesArrive has a client announce much and send little.
func TestSpoolTakesMemoryAsBytesArrive(t *testing.T) {
	s := NewSpool(&config.Spool{Memory: 64 << 10, MaxMemory: 1 << 20, MaxTotal: 1 << 30})
	for _, length := range []int64{-1, 64 << 10, 1 << 30} {
		in, client := io.Pipe()
		r, err := http.NewRequest("POST", "/", in)
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = length
		done := make(chan error)
		go func() {
			_, err := s.Receive(&request.Request{Request: r})
			done <- err
		}()
		client.Write([]byte("0123456789"))
		client.Write([]byte("0123456789")) // the first ten have been taken
		if held := s.held.Load(); held < 10 || held > smallStep {
			t.Errorf("length %d: %d bytes are held for the first 10", length, held)
		}
		client.CloseWithError(io.ErrUnexpectedEOF)
		if err := <-done; err == nil || s.held.Load() != 0 || s.bytes.InUse() != 0 {
			t.Errorf("length %d: %v, %d and %d bytes left", length, err, s.held.Load(), s.bytes.InUse())
		}
	}
}

// TestSpoolBoundsMemory receives bodies of many sizes while there is memory, while
// there is little, and while there is none: they are complete, and beyond the
// bound they are in files.
func TestSpoolBoundsMemory(t *testing.T) {
	for _, memory := range []int64{0, 1000, 10_000, 100_000, 1 << 20} {
		s := NewSpool(&config.Spool{Memory: 64 << 10, MaxMemory: config.Size(memory), MaxTotal: 1 << 30, Dir: t.TempDir()})
		var open []io.Closer
		for _, size := range []int{1, 511, 512, 513, 4095, 4096, 4097, 64 << 10, 64<<10 + 1, 200_000} {
			for _, length := range []int64{-1, int64(size)} {
				data := bytes.Repeat([]byte(fmt.Sprintf("%d.", size)), size)[:size]
				r, err := http.NewRequest("POST", "/", io.MultiReader(iotest.HalfReader(bytes.NewReader(data))))
				if err != nil {
					t.Fatal(err)
				}
				r.ContentLength = length
				body, err := s.Receive(&request.Request{Request: r})
				if err != nil {
					t.Fatal(err)
				}
				open = append(open, body)
				for range 2 {
					again, err := r.GetBody()
					if err != nil {
						t.Fatal(err)
					}
					if got, err := io.ReadAll(again); err != nil || !bytes.Equal(got, data) || r.ContentLength != int64(size) {
						t.Errorf("memory %d, %d bytes, length %d: %d bytes came, %v", memory, size, length, len(got), err)
					}
				}
				if held := s.held.Load(); held > memory {
					t.Errorf("%d bytes are held, %d may be", held, memory)
				}
			}
		}
		for _, body := range open {
			body.Close()
		}
		if s.held.Load() != 0 || s.bytes.InUse() != 0 {
			t.Errorf("%d and %d bytes left", s.held.Load(), s.bytes.InUse())
		}
	}
}

// TestBodyLongerThanItsLength has a body with more bytes than it may have.
func TestBodyLongerThanItsLength(t *testing.T) {
	s := NewSpool(&config.Spool{Memory: 64 << 10, MaxMemory: 1 << 20, MaxTotal: 1 << 30})
	r, err := http.NewRequest("POST", "/", io.MultiReader(strings.NewReader("0123")))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = 3
	if _, err := s.Receive(&request.Request{Request: r}); request.Status(err) != 400 || s.held.Load() != 0 {
		t.Errorf("%v, %d bytes left", err, s.held.Load())
	}
}

// TestSpoolIsShared: one client sends bodies until it is refused; there is room
// for another client's then.
func TestSpoolIsShared(t *testing.T) {
	s := NewSpool(&config.Spool{Memory: 64 << 10, MaxMemory: 1 << 20, MaxTotal: 1_000_000, Dir: t.TempDir()})
	receive := func(client string) (io.Closer, error) {
		h, err := http.NewRequest("POST", "/", io.MultiReader(bytes.NewReader(make([]byte, 100_000))))
		if err != nil {
			t.Fatal(err)
		}
		h.ContentLength = 100_000
		return s.Receive(&request.Request{Request: h, Client: netip.MustParseAddrPort(client)})
	}
	var open []io.Closer
	for {
		body, err := receive("192.0.2.1:1")
		if err != nil {
			if request.Status(err) != 503 || len(open) < 6 {
				t.Errorf("after %d bodies: %v", len(open), err)
			}
			break
		}
		open = append(open, body)
	}
	if len(open) > 8 {
		t.Errorf("one client has %d bodies of the 10 that there is room for", len(open))
	}
	body, err := receive("192.0.2.2:1")
	if err != nil {
		t.Fatalf("another client: %v", err)
	}
	for _, b := range append(open, body) {
		b.Close()
		b.Close() // does nothing
	}
	if s.bytes.InUse() != 0 || s.held.Load() != 0 || s.bytes.Clients() != 0 {
		t.Errorf("%d and %d bytes, %d clients left", s.bytes.InUse(), s.held.Load(), s.bytes.Clients())
	}
}
