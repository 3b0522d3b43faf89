package forward

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"

	"mkd/config"
	"mkd/proxy/request"
)

// ErrSpoolFull is returned when the bodies of all requests take as much as they may.
var ErrSpoolFull error = &request.Error{Kind: request.Busy, Err: errors.New("the bodies that wait for a backend take all of limits.spool.max_total")}

// spoolError is an error of keeping a body: the disk is full, say.
type spoolError struct{ err error }

func (e *spoolError) Error() string { return "keeping a request's body: " + e.err.Error() }
func (e *spoolError) Unwrap() error { return e.err }

// keepError returns the error of keeping a body, with its kind.
func keepError(err error) error {
	kind := request.Fault
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		kind = request.DiskFull
	}
	return &request.Error{Kind: kind, Err: &spoolError{err}}
}

// Spool receives whole bodies before a backend sees them: their beginning in
// memory, the rest in a file without a name, of which nothing is left however the
// daemon ends.
type Spool struct {
	memory int64 // bytes of each body
	dir    string
	limit  int64 // bytes of all
	used   atomic.Int64
}

// NewSpool returns a spool.
func NewSpool(c *config.Spool) *Spool {
	return &Spool{memory: int64(c.Memory), dir: c.Dir, limit: int64(c.MaxTotal)}
}

// take counts n bytes as used, if there are so many.
func (s *Spool) take(n int64) bool {
	if s.used.Add(n) > s.limit {
		s.used.Add(-n)
		return false
	}
	return true
}

// give gives n bytes back.
func (s *Spool) give(n int64) { s.used.Add(-n) }

// Receive receives the whole body of a request, which then has a length and can
// be read again. The result gives back the memory, and must be closed.
func (s *Spool) Receive(r *http.Request) (io.Closer, error) {
	if r.Body == nil || r.GetBody != nil {
		return io.NopCloser(nil), nil
	}
	b := &spooled{spool: s}
	err := b.fill(r.Body)
	if closed := r.Body.Close(); err == nil {
		err = closed
	}
	if err == nil && r.ContentLength >= 0 && b.size != r.ContentLength {
		err = &request.ClientError{Err: io.ErrUnexpectedEOF}
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	r.ContentLength = b.size
	r.GetBody = func() (io.ReadCloser, error) { return b.reader(), nil }
	r.Body = b.reader()
	return b, nil
}

// spooled is a body that was received.
type spooled struct {
	spool *Spool
	head  bytes.Buffer
	file  *os.File // what comes after head; nil: nothing
	size  int64
	taken int64
}

// spoolStep is how many bytes are read and taken into account at once.
const spoolStep = 32 << 10

// fill reads a body to its end.
func (b *spooled) fill(body io.Reader) error {
	buf := copyBuffers.Get().(*[spoolStep]byte)
	defer copyBuffers.Put(buf)
	for {
		n, err := body.Read(buf[:])
		if n > 0 {
			if err := b.add(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (b *spooled) add(p []byte) (err error) {
	n := int64(len(p))
	if !b.spool.take(n) {
		return ErrSpoolFull
	}
	b.taken += n
	b.size += n
	if room := b.spool.memory - int64(b.head.Len()); room > 0 {
		m := min(n, room)
		b.head.Write(p[:m])
		p = p[m:]
	}
	if len(p) == 0 {
		return nil
	}
	if b.file == nil {
		if b.file, err = namelessFile(b.spool.dir); err != nil {
			return keepError(err)
		}
	}
	if _, err := b.file.Write(p); err != nil {
		return keepError(err)
	}
	return nil
}

// namelessFile makes a file that is gone once it is closed.
func namelessFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "mkd-body-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// reader returns a reader of the whole body.
func (b *spooled) reader() io.ReadCloser {
	head := bytes.NewReader(b.head.Bytes())
	if b.file == nil {
		return io.NopCloser(head)
	}
	rest := io.NewSectionReader(b.file, 0, b.size-int64(b.head.Len()))
	return io.NopCloser(io.MultiReader(head, rest))
}

// Close gives back what the body takes. Readers of it fail from then on.
func (b *spooled) Close() error {
	b.spool.give(b.taken)
	b.taken = 0
	if b.file != nil {
		return b.file.Close()
	}
	return nil
}
