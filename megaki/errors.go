package megaki

import "fmt"

// errorMark fills the token of a SYN-ACK that carries an error.
const errorMark = 0xEE

// Code is the reason that an error SYN-ACK gives.
type Code uint16

// The codes of the protocol.
const (
	CodeVersion     Code = 0x0100 // the versions of the protocol are incompatible
	CodeUnavailable Code = 0x0200 // the service is unavailable
	CodeBlacklisted Code = 0x03FF // the server's key is blacklisted
)

// bytes is the code as it travels: filled with zeros.
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

// ServerError is the error that a server answered a SYN with. Whether it is an
// error at all is authenticated by nothing: someone on the path can make it of
// a good answer.
type ServerError struct{ Code Code }

func (e *ServerError) Error() string { return "the server refuses the handshake: " + e.Code.String() }
