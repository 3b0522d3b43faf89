package megaki

// session seals and opens the messages of one connection, under the keys that
// its handshake has agreed on. It is what a version of the protocol decides:
// keys, sequence and sizes. The connection knows none of them. One goroutine
// uses a session.
type session interface {
	framer

	// headroom and tailroom are the bytes that a frame may need before and
	// after its plaintext.
	headroom() int
	tailroom() int

	// seal makes a frame in place, and returns it: a prefix of buf. The
	// plaintext, of n bytes, is in buf after the headroom, and there is
	// tailroom after it.
	seal(buf []byte, n int) ([]byte, error)

	// open checks and decrypts a frame in place, and returns its plaintext,
	// which is a part of frame. Any error ends the connection. It wraps
	// errCrypto if a secret decided it.
	open(frame []byte) ([]byte, error)

	// spent reports whether the keys may carry no further message and its
	// response. The connection ends then, and the client resumes on another.
	spent() bool

	// rest drops what can be made anew from the keys, until the session is used.
	rest()

	// close drops the keys. Nothing can be sealed or opened afterwards.
	close()
}

// framer finds the frames in a stream.
type framer interface {
	// frameSize returns the size in bytes of the frame that begins with prefix,
	// or 0 if more bytes are needed to know.
	frameSize(prefix []byte) (int, error)
}

// agreement is the result of a handshake, on the server's side.
type agreement struct {
	session session
	token   Token
	key     KeyID // the server key that the session's handshake used
	// pending, if not nil, is the session's key in the store. It has to be promoted
	// once the session has opened a first message: only that shows that the client
	// has the key.
	pending *[symmetricKey]byte
}
