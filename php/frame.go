package php

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// A frame is a header, a head whose form depends on the type, and a body.
//
//	0   1  version, 01
//	1   1  type
//	2   2  length of the head in bytes
//	4   4  length of the body in bytes
//	8   8  id of the request; zeros outside of one
//	16  h  head
//	..  b  body
const (
	frameVersion    = 1
	frameHeaderSize = 16
)

// frameType is the type of a frame. Types below 0x10 go to the worker.
type frameType byte

const (
	frameCall  frameType = 0x01 // head: flags (1), token (16), port (2), address; body: the message, or its first part
	frameBody  frameType = 0x02 // body: a further part of the message
	frameLast  frameType = 0x03 // body: the last part
	framePing  frameType = 0x04 // asks for a PONG
	frameStop  frameType = 0x05 // ends the worker
	frameHTTP  frameType = 0x06 // head: as of a CALL; body: the request without its body
	frameGone  frameType = 0x07 // the rest of the response is dropped
	frameReady frameType = 0x11 // head: process id (4), flags (1), parts of a form (4) or not; body: version of PHP
	frameEnd   frameType = 0x12 // head: memory in use, in bytes (8), flags (1) or not; body: the response, or its last part
	framePart  frameType = 0x13 // head: flags (1) or nothing; body: a part of the response
	frameError frameType = 0x14 // head: 00 the worker goes on, 01 it ends; body: the error
	frameLog   frameType = 0x15 // head: a logKind; body: text
	frameHead  frameType = 0x16 // head: status (2), length (8); body: the header's fields
	framePong  frameType = 0x17 // responds to a PING
)

// Flags of a CALL or an HTTP frame.
const (
	callMore = 0x01 // BODY or LAST follows
	callForm = 0x02 // the body is a form's fields, however they came
)

// partFlush is the flag of a PART that is flushed.
const partFlush = 0x01

// Flags of an END.
const (
	endExits = 0x01 // the worker ends
	endWorks = 0x02 // the response is complete, and the worker works on; another END follows
)

// The first byte of the head of an ERROR. Any other value ends the worker.
const (
	errorGoesOn = 0x00 // the worker takes further calls
	errorWorks  = 0x02 // the worker works on; an END follows
)

// logKind is the origin of the text of a LOG.
type logKind byte

const (
	logPrinted logKind = 0x01 // what the script printed
	logWritten logKind = 0x02 // arca::log
	logWarning logKind = 0x03 // PHP's warnings and notes
	logFailure logKind = 0x04 // an error that the response doesn't show
	logLeak    logKind = 0x05 // what the request has left behind, as JSON
)

// readyHTTP is the flag of a READY whose script has a handler for HTTP requests.
const readyHTTP = 0x01

// maxHead bounds the head of a frame from a worker, in bytes. No type needs more.
const maxHead = 64

// errFrame reports that a worker wrote something other than an expected frame.
var errFrame = errors.New("the worker broke the framing")

// frameHeader is the header of a frame.
type frameHeader struct {
	typ  frameType
	head int   // bytes
	body int64 // bytes
	id   uint64
}

func (h *frameHeader) put(p []byte) {
	p[0], p[1] = frameVersion, byte(h.typ)
	binary.BigEndian.PutUint16(p[2:], uint16(h.head))
	binary.BigEndian.PutUint32(p[4:], uint32(h.body))
	putID(p, h.id)
}

// putID sets the id of a frame.
func putID(frame []byte, id uint64) { binary.BigEndian.PutUint64(frame[8:], id) }

// parseFrameHeader parses the header of a frame from a worker.
func parseFrameHeader(p []byte) (frameHeader, error) {
	h := frameHeader{
		typ:  frameType(p[1]),
		head: int(binary.BigEndian.Uint16(p[2:])),
		body: int64(binary.BigEndian.Uint32(p[4:])),
		id:   binary.BigEndian.Uint64(p[8:]),
	}
	if p[0] != frameVersion {
		return h, fmt.Errorf("%w: version %02x", errFrame, p[0])
	}
	want := 0
	switch h.typ {
	case frameReady:
		want = 5
	case frameEnd:
		want = 8
	case frameHead:
		want = 10
	case frameError, frameLog:
		want = 1
	case framePart, framePong:
	default:
		return h, fmt.Errorf("%w: type %02x", errFrame, p[1])
	}
	if h.head < want || h.head > maxHead {
		return h, fmt.Errorf("%w: type %02x with a head of %d bytes", errFrame, p[1], h.head)
	}
	return h, nil
}

// frameReader reads the frames of a worker. Read reads the body of the frame that
// next returned, and returns io.EOF at the end of the body.
type frameReader struct {
	r    *bufio.Reader
	head [maxHead]byte
	left int64 // unread bytes of the body
	err  error // why no more can be read
}

// next returns the header and the head of the next frame. It drops the rest of the
// body before it. The head is valid until the next call.
func (f *frameReader) next() (frameHeader, []byte, error) {
	if f.left > 0 {
		if _, err := io.Copy(io.Discard, f); err != nil {
			return frameHeader{}, nil, err
		}
	}
	p, err := f.r.Peek(frameHeaderSize)
	if err != nil {
		return frameHeader{}, nil, f.fail(err)
	}
	h, err := parseFrameHeader(p)
	if err != nil {
		return h, nil, f.fail(err)
	}
	f.r.Discard(frameHeaderSize) // can't fail: it was peeked
	if _, err := io.ReadFull(f.r, f.head[:h.head]); err != nil {
		return h, nil, f.fail(err)
	}
	f.left = h.body
	return h, f.head[:h.head], nil
}

func (f *frameReader) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > f.left {
		p = p[:f.left]
	}
	n, err := f.r.Read(p)
	f.left -= int64(n)
	if err != nil {
		return n, f.fail(err)
	}
	return n, nil
}

// text returns the body as text, cut to limit bytes.
func (f *frameReader) text(limit int64) (string, error) {
	p, err := io.ReadAll(io.LimitReader(f, limit))
	if err == nil && f.left > 0 {
		p = append(p, " …"...)
		_, err = io.Copy(io.Discard, f)
	}
	return string(p), err
}

func (f *frameReader) fail(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
		err = io.ErrUnexpectedEOF // a worker never ends the stream
	}
	f.err = err
	return err
}
