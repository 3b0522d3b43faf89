package megaki

import (
	"cmp"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// ErrKeyUsed is returned for a message on a connection that has carried as many
// as one key may. Nothing was sent: a connection that resumes the session can
// send it.
var ErrKeyUsed = errors.New("the messages that one key may have are used up; resume the session on a new connection")

// ErrStale is returned for a message on a connection that had ended before it.
// Nothing was sent: another connection can send it.
var ErrStale = errors.New("the server has closed the connection, or sent something out of turn; nothing was sent")

// Session is what resuming a session takes. Whoever has it can act as the
// client: keep it secret.
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

// Config configures a client. The zero value of a field means its default, which
// is the constant of the same name with Default before it; ServerKey has none.
// A Config may be shared, and must not be changed once it is used.
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

	// OnKeys, if set, makes a Client ask for the server's list of keys after each
	// handshake, before its first message. It is called with the list, or with the
	// error that the list was refused for. It is for servers whose messages are HTTP
	// requests. Only a list that KeyTrust.Root has signed may be trusted.
	OnKeys   func(*KeyList, error)
	KeyTrust KeyTrust

	makeKey func() (*rsa.PrivateKey, error) // in place of ClientKey; nil: GenerateKey
}

// check refuses what would fail later, or disclose a secret.
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
		return fmt.Errorf("megaki: a MaxMessage of %d bytes: want 1 to %d, or 0 for the default", cfg.MaxMessage, MaxMessageLimit)
	}
	return nil
}

func (cfg *Config) maxMessage() int { return cmp.Or(cfg.MaxMessage, DefaultMaxMessage) }
func (cfg *Config) maxMessagesPerKey() int {
	return cmp.Or(cfg.MaxMessagesPerKey, DefaultMaxMessagesPerKey)
}
func (cfg *Config) handshakeTimeout() time.Duration {
	return cmp.Or(cfg.HandshakeTimeout, DefaultHandshakeTimeout)
}

// Conn is a connection of a client with a session on it. It is not safe for use
// by several goroutines, except for Close.
type Conn struct {
	conn       net.Conn
	mem        *memoryClient
	wire       *wire
	maxMessage int
	resumed    bool
	broken     error // why the connection can't be used any more

	// mu is held by a round trip. Close, which ends the round trip, waits for
	// it before it drops the keys.
	mu      sync.Mutex
	session session
	resume  Session // the zero value once closed
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

// NewConn begins a session on a connection. After an error the caller closes the
// connection.
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
	c := &Conn{conn: conn, mem: mem.join(netip.Addr{}), maxMessage: cfg.maxMessage()}
	c.wire = newWire(conn, c.mem)
	defer c.wire.release()
	stop := c.within(ctx, time.Now().Add(cfg.handshakeTimeout()))
	h := clientHandshake{wire: c.wire, cfg: cfg}
	var err error
	c.resume, c.resumed, err = h.run()
	if err = stop(err); err != nil {
		return nil, err
	}
	seen := newSeenMACs(nil) // bounded by MaxMessagesPerKey alone
	c.session = newSessionV1(c.resume.Token, &c.resume.Key, seen, 0, cfg.maxMessage(), cfg.maxMessagesPerKey())
	return c, nil
}

// defaultMemory returns a client's Memory: enough for the largest message, its
// response, and the buffers that one of them outgrows.
func defaultMemory() *Memory { return NewMemory(4 * (MaxMessageLimit + bufferSlack)) }

// within bounds what follows by a deadline, if not zero, and by ctx. The
// function that it returns ends that: it takes the error of the work, and returns
// it, or the context's if that was what ended the work. Work that was done in
// spite of the context is done.
//
// The context's deadline is not made the connection's: the two would expire in
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

// Session returns the session, to be resumed later by another connection or
// another process. Close drops it: after Close, Session returns the zero value.
func (c *Conn) Session() Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resume
}

// Resumed reports whether the session was resumed rather than made by a
// handshake.
func (c *Conn) Resumed() bool { return c.resumed }

// Close closes the connection, ends a RoundTrip in flight, and drops the keys.
// Whoever has a copy of the Session can still resume it.
func (c *Conn) Close() error {
	err := c.conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session.close()
	c.resume = Session{}
	return err
}

// RoundTrip sends a message, of at least one byte, and returns the response,
// which may be empty. If nothing was sent, the connection can still be used:
// that is so for a message that is empty or too long (a *TooLongError), with
// ErrKeyUsed, without memory for the message, or with a context that had ended
// before. With ErrStale nothing was sent either, and the connection can't be used
// any more. After any other error it can't be used any more, and the server may
// or may not have handled the message.
func (c *Conn) RoundTrip(ctx context.Context, request []byte) ([]byte, error) {
	return c.AppendRoundTrip(ctx, nil, request)
}

// AppendRoundTrip is RoundTrip that appends the response to dst.
func (c *Conn) AppendRoundTrip(ctx context.Context, dst, request []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.broken != nil:
		return dst, fmt.Errorf("the connection failed before: %w", c.broken)
	case len(request) == 0:
		return dst, errors.New("megaki: a message has at least one byte")
	case len(request) > c.maxMessage:
		return dst, &TooLongError{Length: int64(len(request)), Limit: c.maxMessage}
	case c.session.spent():
		return dst, ErrKeyUsed
	case ctx.Err() != nil:
		return dst, context.Cause(ctx)
	case c.wire.readable(): // else it would be taken for the response
		c.broken = ErrStale
		return dst, ErrStale
	}
	buf, err := c.mem.get(c.session.headroom() + len(request) + c.session.tailroom())
	if err != nil {
		return dst, err
	}
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
	defer c.mem.put(buf)
	copy(buf.b[c.session.headroom():], request)
	frame, err := c.session.seal(buf.b, len(request))
	if err != nil {
		return err
	}
	if err := c.wire.write(frame, 0); err != nil {
		return fmt.Errorf("writing a message: %w", err)
	}
	return nil
}

// receive appends the plaintext of the response to dst.
func (c *Conn) receive(dst []byte) ([]byte, error) {
	frame, err := c.wire.packet(c.session)
	if err != nil {
		return dst, fmt.Errorf("waiting for the response: %w", orClosed(err, "without a whole response"))
	}
	plain, err := c.session.open(frame)
	if err != nil {
		return dst, fmt.Errorf("opening the response: %w", err)
	}
	return append(dst, plain...), nil
}

// orClosed puts the end of the stream, where a packet was expected, in words. It
// wraps io.ErrUnexpectedEOF then.
func orClosed(err error, what string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return closedError("the server closed the connection " + what)
	}
	return err
}

type closedError string

func (e closedError) Error() string { return string(e) }
func (e closedError) Unwrap() error { return io.ErrUnexpectedEOF }
