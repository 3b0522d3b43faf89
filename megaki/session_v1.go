package megaki

import (
	"errors"
	"fmt"
)

// errSessionClosed is returned for messages after close.
var errSessionClosed = errors.New("the session is closed")

// sessionV1 is the session of version 0A FF: messages are MSG packets under one
// master key.
type sessionV1 struct {
	key    [symmetricKey]byte
	closed bool
	box    *box // nil: made when it is used
	seen   *seenMACs
	frames expectation
	token  Token // that the next packet carries
	echo   bool  // the token of each response is that of its request
	left   int   // round trips
}

// newSessionV1 returns a session under a master key. least and most bound the
// plaintext of the messages that it opens, in bytes, and roundTrips how many
// there may be.
func newSessionV1(token Token, key *[symmetricKey]byte, seen *seenMACs, least, most, roundTrips int) *sessionV1 {
	return &sessionV1{
		key:    *key,
		seen:   seen,
		frames: expectation{state: "MSG", types: []byte{typeMSG}, minMsg: least, maxMsg: most},
		token:  token,
		left:   roundTrips,
	}
}

func (s *sessionV1) frameSize(prefix []byte) (int, error) { return s.frames.frameSize(prefix) }

func (s *sessionV1) headroom() int { return msgHeaderSize }
func (s *sessionV1) tailroom() int { return blockSize - 1 }

func (s *sessionV1) seal(buf []byte, n int) ([]byte, error) {
	if err := s.use(); err != nil {
		return nil, err
	}
	p := msgPacket(buf[:msgHeaderSize+padded(n)])
	s.box.seal(p, typeMSG, s.token[:], n)
	s.left--
	if err := s.seen.add(p.mac(), len(p.ciphertext())); err != nil {
		return nil, fmt.Errorf("sealing a message: %w", err)
	}
	return p, nil
}

func (s *sessionV1) open(frame []byte) ([]byte, error) {
	if err := s.use(); err != nil {
		return nil, err
	}
	p := msgPacket(frame)
	if !s.box.verify(p) {
		return nil, fmt.Errorf("%w: wrong MAC", errCrypto)
	}
	if err := s.seen.add(p.mac(), len(p.ciphertext())); errors.Is(err, errReplayed) {
		return nil, fmt.Errorf("%w: %w", errCrypto, err)
	} else if err != nil {
		return nil, err
	}
	if s.echo {
		s.token = Token(p.token())
	}
	return s.box.open(p), nil
}

// spent also makes room for the MACs of the next round trip, so that a
// connection ends between two messages and not within one.
func (s *sessionV1) spent() bool { return s.left <= 0 || !s.seen.hasRoom(2) }

// use makes the box, unless there is one.
func (s *sessionV1) use() error {
	switch {
	case s.closed:
		return errSessionClosed
	case s.box == nil:
		s.box = newBox(&s.key)
	}
	return nil
}

func (s *sessionV1) rest() {
	if s.box != nil {
		*s.box = box{}
		s.box = nil
	}
}

func (s *sessionV1) close() {
	if !s.closed {
		s.closed = true
		s.rest()
		clear(s.key[:])
		s.seen.retire()
	}
}
