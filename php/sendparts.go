package php

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

const partSize = 64 << 10 // bytes of a part of a message: what a pipe holds

// part is a part of a message, with room in front for a frame's header.
type part struct {
	buf []byte
	n   int // bytes of the message
	err error
}

// sendMore writes the rest of a message, in parts. It doesn't wait for the
// message's reader longer than the call may take, or the worker lives.
func (w *worker) sendMore(id uint64, more io.Reader) error {
	parts, free := make(chan part), make(chan []byte, 2)
	stop, stopped := make(chan struct{}), make(chan struct{})
	free <- make([]byte, frameHeaderSize+partSize)
	free <- make([]byte, frameHeaderSize+partSize) // is read into while the other one is written
	go func() {
		defer close(stopped)
		readParts(more, parts, free, stop)
	}()
	err := w.sendParts(id, parts, free)
	close(stop)
	if err != nil && !errors.As(err, new(*bodyError)) { // that one has returned
		w.abandon(more, stopped)
	}
	return err
}

// readParts reads a message to its end, or until it is told to stop.
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

// readPart fills buf as far as it can. Unlike io.ReadFull it keeps a message
// that was cut off (io.ErrUnexpectedEOF) apart from one that is complete.
func readPart(more io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = more.Read(buf[n:])
		n += m
	}
	return n, err
}

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

// dismiss ends the reading of a message that isn't wanted any more. A reader
// that doesn't end is left behind, and counted until it does.
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
