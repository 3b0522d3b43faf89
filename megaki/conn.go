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

// errStale says that a connection ended before a message: nothing was sent.
var errStale = errors.New("the server has closed the connection, or sent something out of turn; nothing was sent")

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
	// Default: a Client makes one when it first needs it, and keeps it; Dial
	// and NewConn make one for each handshake, which takes a core 0.1 s or so.
	ClientKey *rsa.PrivateKey
	// Session, if not nil, is resumed. If the server doesn't know it any more,
	// a handshake follows on the same connection.
	Session *Session

	MaxMessage        int           // bytes of plaintext, both ways; at most MaxMessageLimit
	MaxMessagesPerKey int           // round trips on a connection
	HandshakeTimeout  time.Duration // of handshake or resumption
	Memory            *Memory       // for message buffers; default: one of its own

	makeKey func() (*rsa.PrivateKey, error) // in place of ClientKey; nil: GenerateKey
}

// check refuses what would fail later, or give a secret away.
func (cfg *Config) check() error {
	if cfg.ServerKey == nil {
		return errors.New("megaki: a Config needs the ServerKey")
	}
	if err := checkKey(cfg.ServerKey); err != nil {
		return fmt.Errorf("megaki: server key: %w", err)
	}
	if cfg.ClientKey != nil {
		if err := checkKey(&cfg.ClientKey.PublicKey); err != nil {
			return fmt.Errorf("megaki: client key: %w", err)
		}
	}
	if cfg.MaxMessage < 0 || cfg.MaxMessage > MaxMessageLimit {
		return fmt.Errorf("megaki: a MaxMessage of %d bytes: it is from 1 to %d, or 0 for the default", cfg.MaxMessage, MaxMessageLimit)
	}
	return nil
}

// Conn is a connection of a client with a session begun on it. It isn't safe
// for use by several goroutines, but for Close.
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
	if err := cfg.check(); err != nil {
		return nil, err
	}
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
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	mem := cfg.Memory
	if mem == nil {
		mem = defaultMemory()
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
	if err = stop(err); err != nil {
		return nil, err
	}
	return c, nil
}

// defaultMemory is a client's: enough for the largest message, its answer, and
// the buffers that one of them outgrows.
func defaultMemory() *Memory { return NewMemory(4 * (MaxMessageLimit + bufferSlack)) }

func (c *Conn) hello(cfg *Config) error {
	if cfg.Session != nil {
		resumed, err := c.resume(*cfg.Session)
		if err != nil {
			return &resumeError{err}
		}
		if c.resumed = resumed; resumed {
			return nil
		}
	}
	key := cfg.ClientKey
	if key == nil {
		makeKey := cfg.makeKey
		if makeKey == nil {
			makeKey = GenerateKey
		}
		var err error
		if key, err = makeKey(); err != nil {
			return fmt.Errorf("making the client key: %w", err)
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
// function it returns ends that: it takes the error of the work, and returns
// it, or the context's if that was what ended the work. Work that was done in
// spite of the context is done.
//
// The context's deadline isn't made the connection's: the two would run out in
// either order, with another error each time.
func (c *Conn) within(ctx context.Context, deadline time.Time) (stop func(error) error) {
	if !deadline.IsZero() {
		c.conn.SetDeadline(deadline)
	}
	if ctx.Done() == nil && deadline.IsZero() {
		return func(err error) error { return err }
	}
	interrupted := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		c.conn.SetDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	return func(err error) error {
		ended := !cancel()
		if ended {
			<-interrupted // else its deadline could meet the next message
		}
		// A deadline that was left would make an idle connection look dead.
		c.conn.SetDeadline(time.Time{})
		if ended && err != nil {
			return context.Cause(ctx)
		}
		return err
	}
}

// Session returns the session, to be resumed later: by another connection, or
// by another process.
func (c *Conn) Session() Session { return c.session }

// Resumed reports whether the session was resumed, not made by a handshake.
func (c *Conn) Resumed() bool { return c.resumed }

// Close closes the connection, and ends a RoundTrip under way. The session can
// still be resumed.
func (c *Conn) Close() error { return c.conn.Close() }

// RoundTrip sends a message, of at least one byte, and returns the answer,
// which may be empty. Where nothing was sent the connection can still be used:
// for a message that is empty or too long (a *TooLongError), with ErrKeyUsed,
// without memory for the message, or with a context that had ended before.
// After any other error the connection can't be used any more, and unless the
// error tells otherwise the server may have handled the message or not.
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
	case ctx.Err() != nil:
		return dst, context.Cause(ctx)
	case c.wire.readable(): // else it would be taken for the answer
		c.broken = errStale
		return dst, errStale
	}
	buf, err := c.wire.mem.get(msgHeaderSize + padded(len(request)))
	if err != nil {
		return dst, err
	}
	c.count++
	stop := c.within(ctx, time.Time{})
	if err = c.send(buf, request); err == nil {
		dst, err = c.receive(dst)
	}
	c.wire.release()
	c.broken = stop(err)
	return dst, c.broken
}

// send seals the request in buf, writes it, and gives buf back.
func (c *Conn) send(buf *buffer, request []byte) error {
	defer c.wire.mem.put(buf)
	p := msgPacket(buf.b[:msgHeaderSize+padded(len(request))])
	copy(p[msgHeaderSize:], request)
	c.box.seal(p, typeMSG, c.session.Token[:], len(request))
	c.seen.add(p.mac(), len(p.ciphertext()))
	if err := c.wire.writePacket(p, 0); err != nil {
		return fmt.Errorf("writing a message: %w", err)
	}
	return nil
}

// receive appends the plaintext of the answer to dst.
func (c *Conn) receive(dst []byte) ([]byte, error) {
	in, err := c.wire.packet(&c.expect)
	if err != nil {
		return dst, fmt.Errorf("waiting for the answer: %w", orClosed(err, "without a whole answer"))
	}
	p := msgPacket(in)
	if !c.box.verify(p) {
		return dst, errors.New("answer with a wrong MAC")
	}
	if !c.seen.add(p.mac(), len(p.ciphertext())) {
		return dst, errors.New("answer that was sent before")
	}
	return append(dst, c.box.open(p)...), nil
}

// orClosed puts the end of the stream, where a packet was due, in words.
func orClosed(err error, what string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the server closed the connection " + what)
	}
	return err
}

// stale reports whether the server has closed the connection, or sent
// something out of turn, since the last answer.
func (c *Conn) stale() bool {
	if c.broken != nil {
		return true
	}
	return c.wire.readable()
}
