package forward

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// encoder is a stream that is compressed. It keeps its memory for the next one.
type encoder interface {
	io.Writer
	Flush() error // what was written can be decoded then
	Close() error
	Reset(io.Writer)
}

// maxEncoders is how much memory all encoders in use may take together, in bytes. A
// response that would pass it isn't compressed: a client that reads slowly, or a
// stream that never ends, holds its encoder.
const maxEncoders = 512 << 20

// encodersInUse is how much memory encoders take now, in bytes.
var encodersInUse atomic.Int64

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

// takeEncoder returns an encoder that writes to w, nil if all of them have taken the
// memory that they may.
func takeEncoder(coding string, w io.Writer) encoder {
	kind := encoderKinds[coding]
	if encodersInUse.Add(kind.memory) > maxEncoders {
		encodersInUse.Add(-kind.memory)
		return nil
	}
	e := kind.pool.Get().(encoder)
	e.Reset(w)
	return e
}

// giveEncoder ends the use of an encoder.
func giveEncoder(coding string, e encoder) {
	kind := encoderKinds[coding]
	e.Reset(nil)
	kind.pool.Put(e)
	encodersInUse.Add(-kind.memory)
}
