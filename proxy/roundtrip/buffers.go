package roundtrip

import (
	"bufio"
	"sync"
)

// Sizes of buffers, in bytes.
const (
	ReaderSize  = 16 << 10  // of a reader
	requestSize = 4 << 10   // of a new buffer
	maxKeptSize = 128 << 10 // a buffer above isn't used again
)

// Buffers are buffers that the requests to a server use in turn. The zero value
// is ready.
type Buffers struct {
	buffers sync.Pool // of *[]byte
	readers sync.Pool // of *bufio.Reader
}

// Get returns an empty buffer.
func (b *Buffers) Get() *[]byte {
	if p, ok := b.buffers.Get().(*[]byte); ok {
		return p
	}
	p := make([]byte, 0, requestSize)
	return &p
}

// Put takes a buffer back.
func (b *Buffers) Put(p *[]byte) {
	if cap(*p) <= maxKeptSize {
		*p = (*p)[:0]
		b.buffers.Put(p)
	}
}

// Reader returns a reader, which has to be reset.
func (b *Buffers) Reader() *bufio.Reader {
	if br, ok := b.readers.Get().(*bufio.Reader); ok {
		return br
	}
	return bufio.NewReaderSize(nil, ReaderSize)
}

// PutReader takes a reader back.
func (b *Buffers) PutReader(br *bufio.Reader) {
	br.Reset(nil)
	b.readers.Put(br)
}
