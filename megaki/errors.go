package megaki

import "fmt"

// errorMark is each byte of the token of a SYN-ACK that carries an error.
const errorMark = 0xEE

// Code is the reason in an error SYN-ACK.
type Code uint16

// The codes of the protocol.
const (
	CodeVersion     Code = 0x0100 // the versions of the protocol are incompatible
	CodeUnavailable Code = 0x0200 // the service is unavailable
	CodeBlacklisted Code = 0x03FF // the server's key is blacklisted
)

// bytes returns the code as it is sent: zero-padded.
func (c Code) bytes() (p [symmetricKey]byte) {
	p[0], p[1] = byte(c>>8), byte(c)
	return p
}

func (c Code) String() string {
	switch c {
	case CodeVersion:
		return "incompatible versions of the protocol"
	case CodeUnavailable:
		return "service unavailable"
	case CodeBlacklisted:
		return "server key blacklisted"
	}
	return fmt.Sprintf("unknown code %04x", uint16(c))
}

// ServerError is the error that a server sent in response to a SYN. Nothing
// authenticates that it is one: someone on the path can make it of a good
// SYN-ACK.
type ServerError struct{ Code Code }

func (e *ServerError) Error() string { return "the server refuses the handshake: " + e.Code.String() }
