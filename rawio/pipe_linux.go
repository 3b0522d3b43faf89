package rawio

import (
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Pipe is two pipes, one to read from and one to write to, as to a child process.
// Reading, writing, deadlines and errors are as with the files, which must be of
// os.Pipe: their ends here don't block.
type Pipe struct {
	rd, wr  *os.File
	in, out half
}

// NewPipe returns a Pipe that reads from rd, and writes to wr.
func NewPipe(rd, wr *os.File) *Pipe {
	p := &Pipe{rd: rd, wr: wr}
	p.in.toRead(rawOf(rd), syscall.SYS_READ, 0)
	p.out.toWrite(rawOf(wr), syscall.SYS_WRITE, 0)
	return p
}

// rawOf returns the descriptor of a file; that of a closed one has no use.
func rawOf(f *os.File) syscall.RawConn {
	if raw, err := f.SyscallConn(); err == nil {
		return raw
	}
	return closed{}
}

// closed is the descriptor of a closed file.
type closed struct{}

func (closed) Control(func(uintptr)) error    { return os.ErrClosed }
func (closed) Read(func(uintptr) bool) error  { return os.ErrClosed }
func (closed) Write(func(uintptr) bool) error { return os.ErrClosed }

// Read reads what has come, at least a byte.
func (p *Pipe) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, err := p.in.read(b)
	return n, failed("read", p.rd, err)
}

// TryRead reads what has come. If that is nothing, it doesn't wait, whatever the
// deadline: the error is ErrNothing.
func (p *Pipe) TryRead(b []byte) (int, error) {
	n, err := p.in.tryRead(b)
	return n, failed("read", p.rd, err)
}

// Write writes all of b.
func (p *Pipe) Write(b []byte) (int, error) {
	if len(b) > Most {
		return p.wr.Write(b)
	}
	n, err := p.out.write(b)
	return n, failed("write", p.wr, err)
}

// failed returns an error as package os does.
func failed(op string, f *os.File, err error) error {
	switch {
	case err == nil || err == io.EOF || err == ErrNothing:
		return err
	case isFileClosed(err):
		err = os.ErrClosed
	}
	return &fs.PathError{Op: op, Path: f.Name(), Err: err}
}

// isFileClosed reports whether an error is that of a closed os.File, of a package that is
// internal.
func isFileClosed(err error) bool { return err.Error() == "use of closed file" }
