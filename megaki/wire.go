package megaki

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"mkd/rawio"
)

// wire reads packets from a connection. It holds a buffer only while bytes of
// a packet are in it.
type wire struct {
	conn net.Conn
	raw  syscall.RawConn // nil where conn has none
	mem  *memoryClient

	buf  *buffer
	n    int // bytes of buf that are filled
	head [headerSize]byte

	writeBy time.Time // the deadline of writes, as far as it is known

	// tryRead as a function, made once, and the error of its last call.
	try    func(fd uintptr) bool
	tryErr error
}

// unbuffered is a connection that wraps a socket. By having the method it
// promises that it keeps no bytes that were read from the socket.
type unbuffered interface {
	syscall.Conn
	Unbuffered()
}

func newWire(conn net.Conn, mem *memoryClient) *wire {
	w := &wire{conn: conn, mem: mem}
	// Only the connections of packages net and rawio: what wraps one may have
	// buffered bytes, which the socket below doesn't have any more.
	switch c := conn.(type) {
	case *net.TCPConn:
		w.raw, _ = c.SyscallConn()
	case *net.UnixConn:
		w.raw, _ = c.SyscallConn()
	case *rawio.Conn:
		w.raw, _ = c.SyscallConn()
	case unbuffered:
		w.raw, _ = c.SyscallConn()
	}
	w.try = w.tryRead
	return w
}

// release gives the buffer back.
func (w *wire) release() {
	if w.buf != nil {
		w.mem.put(w.buf)
		w.buf, w.n = nil, 0
	}
}

// first waits for the first bytes of a packet and reads them. No buffer is
// held while it waits.
func (w *wire) first() error {
	w.release()
	if w.raw != nil && canTryRead {
		w.tryErr = nil
		err := w.raw.Read(w.try)
		if err == nil {
			err = w.tryErr
		}
		if err != nil {
			w.release()
		}
		return err
	}
	n, err := w.conn.Read(w.head[:])
	if n == 0 {
		return orEOF(err)
	}
	if w.buf, err = w.mem.get(minBuffer); err != nil {
		return err
	}
	w.n = copy(w.buf.b, w.head[:n])
	return nil
}

// rest reads until the packet is whole, and returns it. The buffer grows with
// the bytes that have arrived, never with what the header promises. Bytes
// after the packet are an error: both sides take strict turns.
func (w *wire) rest(f framer) ([]byte, error) {
	for {
		size, err := f.frameSize(w.buf.b[:w.n])
		if err != nil {
			return nil, err
		}
		if size > 0 {
			if w.n > size {
				return nil, fmt.Errorf("%w: %d bytes after the packet, out of turn", errMalformed, w.n-size)
			}
			if w.n == size {
				return w.buf.b[:size], nil
			}
			if w.n == len(w.buf.b) {
				if w.buf, err = w.mem.grow(w.buf, w.n, min(size, 2*len(w.buf.b)-bufferSlack)); err != nil {
					return nil, err
				}
			}
		}
		n, err := w.conn.Read(w.buf.b[w.n:])
		w.n += n
		if n == 0 {
			if err = orEOF(err); errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// packet reads one whole packet.
func (w *wire) packet(f framer) ([]byte, error) {
	if err := w.first(); err != nil {
		return nil, err
	}
	return w.rest(f)
}

func orEOF(err error) error {
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// write writes a whole packet within timeout, or an eighth more; 0 keeps the deadline
// that is set.
func (w *wire) write(p []byte, timeout time.Duration) error {
	if timeout > 0 {
		if err := w.allow(timeout); err != nil {
			return err
		}
	}
	_, err := w.conn.Write(p)
	return err
}

// allow gives the next write between d and d * 9/8. A deadline that is about right is
// left as it is: setting one costs as much as to decrypt a short message.
func (w *wire) allow(d time.Duration) error {
	now := time.Now()
	if left := w.writeBy.Sub(now); left >= d && left <= d+d/8 {
		return nil
	}
	w.writeBy = now.Add(d + d/8)
	return w.conn.SetWriteDeadline(w.writeBy)
}

// writeLast is write for the last packet of a connection. The end of the stream
// arrives together with the packet, so that a client that sends at once sees the end
// before it sends.
func (w *wire) writeLast(p []byte, timeout time.Duration) error {
	half, ok := w.conn.(interface{ CloseWrite() error })
	if ok && w.raw != nil {
		cork(w.raw)
	}
	if err := w.write(p, timeout); err != nil || !ok {
		return err
	}
	return half.CloseWrite()
}
