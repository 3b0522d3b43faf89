package php

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

const partSize = 64 << 10 // bytes of a part of a message: the capacity of a pipe

// part is a part of a message, with room for a frame header in front.
type part struct {
	buf []byte
	n   int // bytes of the message
	err error
}

// sendMore writes the rest of a message in parts. It doesn't wait for the reader of
// the message beyond the time of the call or the end of the worker.
func (w *worker) sendMore(id uint64, more io.Reader) error {
	parts, free := make(chan part), make(chan []byte, 2)
	stop, stopped := make(chan struct{}), make(chan struct{})
	free <- make([]byte, frameHeaderSize+partSize)
	free <- make([]byte, frameHeaderSize+partSize) // one is filled while the other is written
	go func() {
		defer close(stopped)
		readParts(more, parts, free, stop)
	}()
	err := w.sendParts(id, parts, free)
	close(stop)
	if err != nil && !errors.As(err, new(*bodyError)) { // then the reader has returned
		w.abandon(more, stopped)
	}
	return err
}

// readParts reads a message to its end, or until stop is closed.
func readParts(more io.Reader, parts chan<- part, free <-chan []byte, stop <-chan struct{}) {
	for {
		select {
		case buf := <-free:
			n, err := readPart(more, buf[frameHeaderSize:])
			select {
			case parts <- part{buf, n, err}:
			case <-stop:
				return
			}
			if err != nil {
				return
			}
		case <-stop:
			return
		}
	}
}

// readPart fills buf as far as possible. Unlike io.ReadFull it distinguishes a
// message that was cut off (io.ErrUnexpectedEOF) from a complete one.
func readPart(more io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = more.Read(buf[n:])
		n += m
	}
	return n, err
}

// sendParts writes the parts of a message until the last one.
func (w *worker) sendParts(id uint64, parts <-chan part, free chan<- []byte) error {
	timer := time.NewTimer(time.Until(w.pipe.deadline))
	defer timer.Stop()
	for {
		var next part
		select {
		case next = <-parts:
		case <-timer.C:
			return os.ErrDeadlineExceeded
		case <-w.pipe.ctx.Done():
			return os.ErrDeadlineExceeded
		case <-w.done:
			return syscall.EPIPE
		}
		last := next.err == io.EOF
		if next.err != nil && !last {
			return &bodyError{next.err}
		}
		h := frameHeader{typ: frameBody, body: int64(next.n), id: id}
		if last {
			h.typ = frameLast
		}
		h.put(next.buf)
		if _, err := w.pipe.Write(next.buf[:frameHeaderSize+next.n]); err != nil || last {
			return err
		}
		free <- next.buf
	}
}

// abandon ends the reading of a message that isn't needed any more. A reader that
// doesn't return is left behind, and counted until it does.
func (w *worker) abandon(more io.Reader, stopped <-chan struct{}) {
	within := patience // it may be about to return
	if c, ok := more.(io.Closer); ok {
		c.Close()
		within = exitGrace
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-stopped:
	case <-timer.C:
		w.stuck.Add(1)
		go func() {
			<-stopped
			w.stuck.Add(-1)
		}()
	}
}
