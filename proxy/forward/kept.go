package forward

import (
	"io"

	"mkd/proxy/request"
)

// Kept is a response that has to be whole before the client gets any of it. Like the body
// of a request it is kept in memory and beyond that in a file, and counts for the client:
// one that reads slowly can't make the daemon hold many of them in memory.
type Kept struct{ spooled }

// Keep returns what keeps the response to a request. It must be closed.
func (s *Spool) Keep(r *request.Request) *Kept { return &Kept{spooled{spool: s, client: s.join(r)}} }

// Write implements io.Writer.
func (k *Kept) Write(p []byte) (n int, err error) {
	for n < len(p) && k.file == nil && (len(k.head) < cap(k.head) || k.grow(k.size+int64(len(p)-n))) {
		m := copy(k.head[len(k.head):cap(k.head)], p[n:])
		k.head = k.head[:len(k.head)+m]
		if err := k.count(m); err != nil {
			return n, err
		}
		n += m
	}
	if n == len(p) {
		return n, nil
	}
	if err := k.write(p[n:]); err != nil {
		return n, err
	}
	return len(p), nil
}

// Reader returns a reader of all that was written.
func (k *Kept) Reader() io.Reader { return k.reader() }
