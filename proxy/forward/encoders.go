package forward

import (
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"mkd/proxy/request"
	"mkd/share"
)

// encoder is a stream that is compressed. It keeps its memory for the next one.
type encoder interface {
	io.Writer
	Flush() error // what was written can be decoded then
	Close() error
	Reset(io.Writer)
}

// maxEncoders is how much memory all encoders in use may take together, in bytes, of which
// each client has its share. A response that would pass it isn't compressed: a client that
// reads slowly, or a stream that never ends, holds its encoder.
const maxEncoders = 512 << 20

// Encoders is the memory of the encoders of all routes, those of earlier configurations
// too.
type Encoders struct{ memory *share.Pool }

// NewEncoders returns the encoders of a daemon.
func NewEncoders() *Encoders { return &Encoders{share.NewPool(maxEncoders, 0)} }

// encoderKind is a content coding. The windows are small: most responses are, and
// with windows of the usual size an encoder takes many times as much memory.
type encoderKind struct {
	memory int64 // of an encoder, about
	pool   *sync.Pool
}

var encoderKinds = map[string]encoderKind{
	"gzip": {1 << 20, &sync.Pool{New: func() any { return gzip.NewWriter(nil) }}},
	"br": {2 << 20, &sync.Pool{New: func() any {
		return brotli.NewWriterOptions(nil, brotli.WriterOptions{Quality: 4, LGWin: 16})
	}}},
	"zstd": {2 << 20, &sync.Pool{New: func() any {
		// Without concurrency there are no goroutines. These options can't be wrong.
		w, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(128<<10), zstd.WithLowerEncoderMem(true), zstd.WithEncoderConcurrency(1))
		return w
	}}},
}

// take returns an encoder that writes to w the response to a request. It is nil if all of
// them, or those of this client, have taken the memory that they may. release ends its use.
func (n *Encoders) take(coding string, r *request.Request, w io.Writer) (e encoder, release func()) {
	kind := encoderKinds[coding]
	give, ok := n.memory.TakeFor(r.Counted(), kind.memory)
	if !ok {
		return nil, nil
	}
	e = kind.pool.Get().(encoder)
	e.Reset(w)
	return e, func() {
		e.Reset(nil)
		kind.pool.Put(e)
		give()
	}
}
