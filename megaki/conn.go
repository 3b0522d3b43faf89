package megaki

import (
	"cmp"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// ErrKeyUsed says that a connection has carried the messages that one key may
// have. Nothing was sent: a connection that resumes the session can send it.
var ErrKeyUsed = errors.New("the messages that one key may have are used up; resume the session on a new connection")

// Session is what resuming takes. Whoever has it can speak as the client: keep
// it as a secret.
type Session struct {
	Token Token
	Key   [symmetricKey]byte // the master key
}

// SessionSize is the size in bytes of a Session as MarshalBinary writes it.
const SessionSize = tokenSize + symmetricKey

// MarshalBinary returns token and master key: the 48 bytes that libsazukari
// keeps.
func (s *Session) MarshalBinary() ([]byte, error) {
	return append(s.Token[:], s.Key[:]...), nil
}

// UnmarshalBinary reads the 48 bytes of MarshalBinary.
func (s *Session) UnmarshalBinary(p []byte) error {
	if len(p) != SessionSize {
		return fmt.Errorf("a session has %d bytes, these are %d", SessionSize, len(p))
	}
	s.Token, s.Key = Token(p[:tokenSize]), [symmetricKey]byte(p[tokenSize:])
	return nil
}

// Config is a client's. The zero value of a field means its default; ServerKey
// has none. A Config may be shared, and must not be changed once it is used.
type Config struct {
	// ServerKey is the pinned key of the server.
	ServerKey *rsa.PublicKey
	// ClientKey is the client's own, used for nothing else; see GenerateKey.
	// Default: one is made for each handshake, which takes a core 0.1 s or so.
	ClientKey *rsa.PrivateKey
	// Session, if not nil, is resumed. If the server doesn't know it any more,
	// a handshake follows on the same connection.
	Session *Session

	MaxMessage        int           // bytes of plaintext, both ways
	MaxMessagesPerKey int           // round trips on a connection
	HandshakeTimeout  time.Duration // of handshake or resumption
	Memory            *Memory       // for message buffers; default: one of its own
}

// Conn is a connection of a client with a session begun on it. It isn't safe
// for use by several goroutines.
type Conn struct {
	conn    net.Conn
	wire    *wire
	box     *box
	seen    *seenMACs
	session Session
	resumed bool

	maxMessages int
	count       int
	expect      expectation
	broken      error // why the connection can't be used any more
}

// Dial connects to a server and begins a session. The context bounds both.
func Dial(ctx context.Context, network, address string, cfg *Config) (*Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c, err := NewConn(ctx, conn, cfg)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	return c, nil
}

// NewConn begins a session on a connection. On an error the connection is the
// caller's to close.
func NewConn(ctx context.Context, conn net.Conn, cfg *Config) (*Conn, error) {
	if cfg.ServerKey == nil {
		return nil, errors.New("megaki: a Config needs the ServerKey")
	}
	if err := checkKey(cfg.ServerKey); err != nil {
		return nil, fmt.Errorf("server key: %w", err)
	}
	mem := cfg.Memory
	if mem == nil {
		mem = NewMemory(4 * (MaxMessageLimit + bufferSlack))
	}
	c := &Conn{
		conn:        conn,
		wire:        newWire(conn, mem),
		maxMessages: cmp.Or(cfg.MaxMessagesPerKey, DefaultMaxMessagesPerKey),
		expect:      expectation{state: "MSG", types: []byte{typeMSG}, maxMsg: cmp.Or(cfg.MaxMessage, DefaultMaxMessage)},
	}
	defer c.wire.release()
	stop := c.within(ctx, time.Now().Add(cmp.Or(cfg.HandshakeTimeout, DefaultHandshakeTimeout)))
	err := c.hello(cfg)
	if stopErr := stop(); stopErr != nil {
		err = stopErr
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Conn) hello(cfg *Config) error {
	if cfg.Session != nil {
		resumed, err := c.resume(*cfg.Session)
		if c.resumed = resumed; resumed || err != nil {
			return err
		}
	}
	key := cfg.ClientKey
	if key == nil {
		var err error
		if key, err = GenerateKey(); err != nil {
			return err
		}
	}
	return c.handshake(key, cfg.ServerKey)
}

func (c *Conn) begin(s Session) {
	c.session = s
	c.box = newBox(&s.Key)
	c.seen = newSeenMACs()
}

// within bounds what follows by a deadline, if not zero, and by ctx. The
// function it returns ends that, and returns the context's error if it was
// what ended the work.
func (c *Conn) within(ctx context.Context, deadline time.Time) (stop func() error) {
	if d, ok := ctx.Deadline(); ok && (deadline.IsZero() || d.Before(deadline)) {
		deadline = d
	}
	c.conn.SetDeadline(deadline)
	if ctx.Done() == nil {
		return func() error { return nil }
	}
	cancel := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
	return func() error {
		if cancel() {
			return nil
		}
		return context.Cause(ctx)
	}
}

// Session returns the session, to be resumed later: by another connection, or
// by another process.
func (c *Conn) Session() Session { return c.session }

// Resumed reports whether the session was resumed, not made by a handshake.
func (c *Conn) Resumed() bool { return c.resumed }

// Close closes the connection. The session can still be resumed.
func (c *Conn) Close() error {
	c.wire.release()
	return c.conn.Close()
}

// RoundTrip sends a message, of at least one byte, and returns the answer,
// which may be empty. After an error but *TooLongError for the request and
// ErrKeyUsed the connection can't be used any more, and the server may have
// handled the message or not.
func (c *Conn) RoundTrip(ctx context.Context, request []byte) ([]byte, error) {
	return c.AppendRoundTrip(ctx, nil, request)
}

// AppendRoundTrip is RoundTrip that appends the answer to dst.
func (c *Conn) AppendRoundTrip(ctx context.Context, dst, request []byte) ([]byte, error) {
	switch {
	case c.broken != nil:
		return dst, fmt.Errorf("the connection failed before: %w", c.broken)
	case len(request) == 0:
		return dst, errors.New("megaki: a message has at least one byte")
	case len(request) > c.expect.maxMsg:
		return dst, &TooLongError{Length: int64(len(request)), Limit: c.expect.maxMsg}
	case c.count >= c.maxMessages:
		return dst, ErrKeyUsed
	}
	c.count++
	stop := c.within(ctx, time.Time{})
	dst, err := c.roundTrip(dst, request)
	c.wire.release()
	if stopErr := stop(); stopErr != nil && err != nil {
		err = stopErr
	}
	c.broken = err
	return dst, err
}

func (c *Conn) roundTrip(dst, request []byte) ([]byte, error) {
	buf, err := c.wire.mem.get(msgHeaderSize + padded(len(request)))
	if err != nil {
		return dst, err
	}
	p := msgPacket(buf.b[:msgHeaderSize+padded(len(request))])
	copy(p[msgHeaderSize:], request)
	c.box.seal(p, typeMSG, c.session.Token[:], len(request))
	c.seen.add(p.mac(), len(p.ciphertext()))
	err = c.wire.writePacket(p, 0)
	c.wire.mem.put(buf)
	if err != nil {
		return dst, fmt.Errorf("writing a message: %w", err)
	}
	in, err := c.wire.packet(&c.expect)
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the server closed the connection without an answer")
		}
		return dst, fmt.Errorf("waiting for the answer: %w", err)
	}
	p = in
	if !c.box.verify(p) {
		return dst, errors.New("answer with a wrong MAC")
	}
	if !c.seen.add(p.mac(), len(p.ciphertext())) {
		return dst, errors.New("answer that was sent before")
	}
	return append(dst, c.box.open(p)...), nil
}

// stale reports whether the server has closed the connection, or sent
// something out of turn, since the last answer.
func (c *Conn) stale() bool {
	if c.broken != nil {
		return true
	}
	return c.wire.readable()
}
