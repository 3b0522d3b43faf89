package fastcgi

import (
	"encoding/binary"
	"fmt"
	"strings"

	"mkd/proxy/roundtrip"
)

// Param is a meta-variable of a request (RFC 3875, section 4.1), as PHP shows
// it in $_SERVER.
type Param struct{ Name, Value string }

// size returns the length of the encoded pair in bytes.
func (p Param) size() int {
	return lengthSize(p.Name) + lengthSize(p.Value) + len(p.Name) + len(p.Value)
}

func lengthSize(s string) int {
	if len(s) < 0x80 {
		return 1
	}
	return 4
}

// check reports whether the pair can be sent. A NUL could end a file's name
// early, in a server that takes values for C strings.
func (p Param) check() error {
	switch {
	case p.Name == "":
		return fmt.Errorf("%w: it has no name", ErrParam)
	case strings.IndexByte(p.Name, 0) >= 0 || strings.IndexByte(p.Value, 0) >= 0:
		return fmt.Errorf("%w: %.64q holds a NUL", ErrParam, p.Name)
	case p.size() > maxContent:
		return fmt.Errorf("%w: %w: %.64q takes %d bytes, and a record holds %d", roundtrip.ErrLongHeader, ErrParam, p.Name, p.size(), maxContent)
	}
	return nil
}

// appendParams appends PARAMS records with all pairs, and the empty one that
// ends them. Each pair is complete in one record: the specification allows it to
// continue in the next, but PHP-FPM doesn't.
func appendParams(dst []byte, params []Param) ([]byte, error) {
	start := len(dst) // of the current record
	dst = appendHeader(dst, typeParams, 0)
	for _, p := range params {
		if err := p.check(); err != nil {
			return dst, err
		}
		if n := len(dst) - start - headerSize; n > 0 && n+p.size() > maxContent {
			recordHeader{typ: typeParams, content: n}.put(dst[start:])
			start = len(dst)
			dst = appendHeader(dst, typeParams, 0)
		}
		dst = appendLength(dst, p.Name)
		dst = appendLength(dst, p.Value)
		dst = append(dst, p.Name...)
		dst = append(dst, p.Value...)
	}
	if n := len(dst) - start - headerSize; n > 0 {
		recordHeader{typ: typeParams, content: n}.put(dst[start:])
		dst = appendHeader(dst, typeParams, 0)
	}
	return dst, nil
}

// appendLength appends the length of a name or a value (specification, section 3.4).
func appendLength(dst []byte, s string) []byte {
	if len(s) < 0x80 {
		return append(dst, byte(len(s)))
	}
	return binary.BigEndian.AppendUint32(dst, uint32(len(s))|1<<31)
}
