package fastcgi

import (
	"encoding/binary"
	"fmt"
)

// A record is a header, its content, and padding (specification, section 3.3).
//
//	0   1  version, 01
//	1   1  type
//	2   2  id of the request
//	4   2  length of the content in bytes
//	6   1  length of the padding in bytes
//	7   1  reserved
//	8   c  content
//	..  p  padding
const (
	recordVersion = 1
	headerSize    = 8
	maxContent    = 1<<16 - 1 // bytes
)

// requestID is the id of every request: one connection carries one at a time.
const requestID = 1

// recordType is the type of a record (specification, section 8).
type recordType byte

const (
	typeBegin  recordType = 1 // content: role (2), flags (1), reserved (5)
	typeEnd    recordType = 3 // content: application status (4), protocol status (1), reserved (3)
	typeParams recordType = 4 // content: pairs of a name and a value
	typeStdin  recordType = 5 // content: a part of the request's body; empty: its end
	typeStdout recordType = 6 // content: a part of the response; empty: its end
	typeStderr recordType = 7 // content: a part of the error output; empty: its end
)

const (
	roleResponder = 1
	flagKeepConn  = 1 // of BEGIN_REQUEST: the server leaves the connection open

	bodySize = 8 // bytes of content of BEGIN_REQUEST and of END_REQUEST
)

// recordHeader is the header of a record.
type recordHeader struct {
	typ     recordType
	content int // bytes
	padding int // bytes
}

// put writes the header of a record of our request without padding.
func (h recordHeader) put(p []byte) {
	p[0], p[1] = recordVersion, byte(h.typ)
	binary.BigEndian.PutUint16(p[2:], requestID)
	binary.BigEndian.PutUint16(p[4:], uint16(h.content))
	p[6], p[7] = byte(h.padding), 0
}

// appendHeader appends a header to dst.
func appendHeader(dst []byte, typ recordType, content int) []byte {
	n := len(dst)
	dst = append(dst, make([]byte, headerSize)...)
	recordHeader{typ: typ, content: content}.put(dst[n:])
	return dst
}

// appendBegin appends the BEGIN_REQUEST record to dst (specification, section 5.1).
func appendBegin(dst []byte, keep bool) []byte {
	dst = appendHeader(dst, typeBegin, bodySize)
	var flags byte
	if keep {
		flags = flagKeepConn
	}
	return append(dst, 0, roleResponder, flags, 0, 0, 0, 0, 0)
}

// parseHeader reads the header of a record from a server. p has headerSize
// bytes. Only what can follow our request is right: management records, whose
// id is 0, respond to a request that is never sent.
func parseHeader(p []byte) (recordHeader, error) {
	h := recordHeader{
		typ:     recordType(p[1]),
		content: int(binary.BigEndian.Uint16(p[4:])),
		padding: int(p[6]),
	}
	if p[0] != recordVersion {
		return h, fmt.Errorf("%w: a record of version %d", ErrProtocol, p[0])
	}
	if id := binary.BigEndian.Uint16(p[2:]); id != requestID {
		return h, fmt.Errorf("%w: a record of request %d, where only request %d is in flight", ErrProtocol, id, requestID)
	}
	switch h.typ {
	case typeStdout, typeStderr:
	case typeEnd:
		if h.content != bodySize {
			return h, fmt.Errorf("%w: END_REQUEST with a content of %d bytes", ErrProtocol, h.content)
		}
	default:
		return h, fmt.Errorf("%w: a record of type %d", ErrProtocol, p[1])
	}
	return h, nil
}

// parseEnd reads the content of END_REQUEST (specification, section 5.5). The
// application's status is what a CGI program would exit with: a response is
// complete whatever it is.
func parseEnd(p []byte) error {
	if status := RefusedError(p[4]); status != 0 {
		return status
	}
	return nil
}
