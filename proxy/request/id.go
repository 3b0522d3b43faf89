package request

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// maxID is how long an id of a trusted proxy may be, in bytes.
const maxID = 128

// ID returns the id of the request, by which its lines in several logs are found:
// that of a trusted proxy, or one that it makes when it is first asked for, of 32
// hexadecimal digits.
func (r *Request) ID() string {
	if r.id == "" {
		var random [16]byte
		binary.NativeEndian.PutUint64(random[:8], rand.Uint64())
		binary.NativeEndian.PutUint64(random[8:], rand.Uint64())
		var digits [32]byte
		hex.Encode(digits[:], random[:])
		r.id = string(digits[:])
	}
	return r.id
}

// GivenID returns the id of the request, "" if nobody asked for one.
func (r *Request) GivenID() string { return r.id }

// SetID takes the id that a trusted proxy gave to the request, unless it isn't one
// word of plain characters.
func (r *Request) SetID(id string) {
	if id == "" || len(id) > maxID {
		return
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return
		}
	}
	r.id = id
}
