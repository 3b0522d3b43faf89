package forward

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"

	"mkd/config"
	"mkd/proxy/request"
	"mkd/share"
	"mkd/spill"
)

// ErrSpoolFull is returned when the bodies of all requests take as much as they may.
var ErrSpoolFull error = &request.Error{Kind: request.Busy, Err: errors.New("the bodies that wait for a backend, or those of this client its share, take all of limits.spool.max_total")}

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
// daemon ends. Memory is taken as bytes arrive, whatever length a client
// announces; when all bodies together have taken what they may, the rest of each
// goes to its file.
type Spool struct {
	rules atomic.Pointer[config.Spool]
	held  atomic.Int64 // bytes of memory
	bytes *share.Pool  // of all bodies, in memory and files, shared fairly by clients
}

// NewSpool returns a spool.
func NewSpool(c *config.Spool) *Spool {
	s := &Spool{bytes: share.NewPool(0, 0)}
	s.Configure(c)
	return s
}

// Configure changes the limits, and the folder for bodies from now on.
func (s *Spool) Configure(c *config.Spool) {
	s.rules.Store(c)
	s.bytes.SetLimits(int64(c.MaxTotal), 0)
}

// InUse returns the bytes that bodies take now, in memory and files, and those in
// memory alone.
func (s *Spool) InUse() (all, memory int64) { return s.bytes.InUse(), s.held.Load() }

// join returns the client that a request counts for. The caller calls Leave.
func (s *Spool) join(r *request.Request) *share.Client { return s.bytes.Join(r.Counted()) }

// takeMemory takes n bytes of memory, if there are so many.
func (s *Spool) takeMemory(n int) bool {
	if s.held.Add(int64(n)) > int64(s.rules.Load().MaxMemory) {
		s.held.Add(-int64(n))
		return false
	}
	return true
}

// giveMemory gives n bytes of memory back.
func (s *Spool) giveMemory(n int) { s.held.Add(-int64(n)) }

// Receive receives the whole body of a request, which then has a length and can
// be read again. The result gives back the memory, and must be closed.
func (s *Spool) Receive(r *request.Request) (io.Closer, error) {
	if r.Body == nil || r.GetBody != nil {
		return nothing, nil
	}
	b := &spooled{spool: s, client: s.join(r)}
	err := b.fill(r.Body, r.ContentLength)
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
	delete(r.Header, "Expect") // it has been met
	r.ContentLength = b.size
	r.GetBody = func() (io.ReadCloser, error) { return b.reader(), nil }
	r.Body = b.reader()
	return b, nil
}

// spooled is a body that was received.
type spooled struct {
	spool  *Spool
	client *share.Client
	head   []byte
	file   *os.File // what comes after head; nil: nothing
	size   int64
	taken  int64
	closed bool
}

// spoolStep is how many bytes are read and counted at once, if there is memory.
const spoolStep = 32 << 10

// Sizes of the memory in which the bytes of a body are awaited.
const (
	firstStep = 512     // of a body whose length is unknown
	smallStep = 4 << 10 // of a body that is known to be longer, or for which no memory is left
)

// fill reads a body of length bytes, -1 if that is unknown, to its end.
func (b *spooled) fill(body io.Reader, length int64) error {
	for b.size != length {
		if len(b.head) == cap(b.head) && !b.grow(length) {
			return b.spill(body)
		}
		n, err := body.Read(b.head[len(b.head):cap(b.head)])
		b.head = b.head[:len(b.head)+n]
		if err := b.count(n); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	if n, err := body.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return request.Malformed("the body is longer than its Content-Length")
	}
	return nil
}

// grow makes room in memory, and reports false if the body has what it may have.
func (b *spooled) grow(length int64) bool {
	size := int64(max(firstStep, 2*cap(b.head)))
	if length > 0 {
		size = min(max(size, smallStep), length)
	}
	more := int(min(size, int64(b.spool.rules.Load().Memory))) - cap(b.head)
	if more <= 0 || !b.spool.takeMemory(more) {
		return false
	}
	b.head = append(make([]byte, 0, cap(b.head)+more), b.head...)
	return true
}

// spill reads the rest of a body into a file.
func (b *spooled) spill(body io.Reader) (err error) {
	var buf []byte
	if b.spool.takeMemory(spoolStep) {
		defer b.spool.giveMemory(spoolStep)
		pooled := copyBuffers.Get().(*[spoolStep]byte)
		defer copyBuffers.Put(pooled)
		buf = pooled[:]
	} else {
		buf = make([]byte, smallStep)
	}
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if err := b.write(buf[:n]); err != nil {
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

// count counts n bytes more of the body.
func (b *spooled) count(n int) error {
	if !b.client.Take(int64(n), 0) {
		return ErrSpoolFull
	}
	b.taken += int64(n)
	b.size += int64(n)
	return nil
}

// write adds p to the file.
func (b *spooled) write(p []byte) (err error) {
	if err := b.count(len(p)); err != nil {
		return err
	}
	if b.file == nil {
		if b.file, err = spill.File(b.spool.rules.Load().Dir); err != nil {
			return keepError(err)
		}
	}
	if _, err := b.file.Write(p); err != nil {
		return keepError(err)
	}
	return nil
}

// reader returns a reader of the whole body.
func (b *spooled) reader() io.ReadCloser {
	head := bytes.NewReader(b.head)
	if b.file == nil {
		return io.NopCloser(head)
	}
	rest := io.NewSectionReader(b.file, 0, b.size-int64(len(b.head)))
	return io.NopCloser(io.MultiReader(head, rest))
}

// Close gives back what the body takes. Readers of it fail from then on.
func (b *spooled) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	b.client.Give(b.taken)
	b.client.Leave()
	b.spool.giveMemory(cap(b.head))
	b.head = nil
	if b.file != nil {
		return b.file.Close()
	}
	return nil
}
