package megaki

import "io"

// ResponseWriter collects the response to a message. It fills the outgoing
// packet in place. It is valid until the handler returns.
type ResponseWriter struct {
	mem     *memoryClient
	session session
	limit   int // bytes of plaintext
	buf     *buffer
	n       int // bytes of plaintext written
}

func (w *ResponseWriter) begin() (err error) {
	w.release()
	w.buf, err = w.mem.get(minBuffer)
	return err
}

func (w *ResponseWriter) release() {
	if w.buf != nil {
		w.mem.put(w.buf)
		w.buf, w.n = nil, 0
	}
}

// Len returns the number of bytes written so far.
func (w *ResponseWriter) Len() int { return w.n }

// Bytes returns what was written so far, which the caller may change. It is valid
// until the next call of another method.
func (w *ResponseWriter) Bytes() []byte {
	head := w.session.headroom()
	return w.buf.b[head : head+w.n]
}

// Limit returns the number of bytes that a response may have.
func (w *ResponseWriter) Limit() int { return w.limit }

// Reset drops what was written.
func (w *ResponseWriter) Reset() { w.n = 0 }

// Grow makes room for n more bytes. It fails with a *TooLongError if the
// response would exceed its limit, and with ErrMemory.
func (w *ResponseWriter) Grow(n int) error {
	if n > w.limit-w.n {
		return &TooLongError{Length: int64(w.n) + int64(n), Limit: w.limit}
	}
	head := w.session.headroom()
	need := head + w.n + n + w.session.tailroom()
	if need <= len(w.buf.b) {
		return nil
	}
	var err error
	w.buf, err = w.mem.grow(w.buf, head+w.n, need)
	return err
}

// Write appends p to the response. Its errors are those of Grow.
func (w *ResponseWriter) Write(p []byte) (int, error) {
	if err := w.Grow(len(p)); err != nil {
		return 0, err
	}
	copy(w.buf.b[w.session.headroom()+w.n:], p)
	w.n += len(p)
	return len(p), nil
}

// WriteString is Write for a string.
func (w *ResponseWriter) WriteString(s string) (int, error) {
	if err := w.Grow(len(s)); err != nil {
		return 0, err
	}
	copy(w.buf.b[w.session.headroom()+w.n:], s)
	w.n += len(s)
	return len(s), nil
}

// ReadFrom reads r to its end, directly into the response.
func (w *ResponseWriter) ReadFrom(r io.Reader) (total int64, err error) {
	for empty := 0; ; {
		at := w.session.headroom() + w.n
		room := w.room()
		if room <= 0 && w.n < w.limit {
			double := 2*len(w.buf.b) - bufferSlack - w.overhead() // what the next larger buffer holds
			more := min(w.limit, double) - w.n
			if lr, ok := r.(*io.LimitedReader); ok { // the size is known
				more = int(min(int64(w.limit-w.n), max(1, lr.N)))
			}
			if err := w.Grow(more); err != nil {
				return total, err
			}
			room = w.room()
		}
		var probe [1]byte
		p := probe[:] // at the limit: one more byte is too many
		if room > 0 {
			p = w.buf.b[at : at+room]
		}
		n, err := r.Read(p)
		if n > 0 && room <= 0 {
			return total, &TooLongError{Length: int64(w.n) + int64(n), Limit: w.limit}
		}
		w.n += n
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		if n > 0 {
			empty = 0
		} else if empty++; empty > 100 {
			return total, io.ErrNoProgress
		}
	}
}

// overhead returns the bytes of a buffer that are not for plaintext.
func (w *ResponseWriter) overhead() int { return w.session.headroom() + w.session.tailroom() }

// room returns how many more bytes of plaintext the buffer holds.
func (w *ResponseWriter) room() int { return min(len(w.buf.b)-w.overhead(), w.limit) - w.n }

// seal returns the sealed response, which is valid until release.
func (w *ResponseWriter) seal() ([]byte, error) { return w.session.seal(w.buf.b, w.n) }
