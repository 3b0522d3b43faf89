package megaki

import (
	"cmp"
	"context"
	"crypto/rsa"
	"errors"
	"sync"
)

// maxFailedResumes is the number of connections in a row that may end while they
// resume a session, before the Client does a handshake instead. A single one may
// be an accident of the network.
const maxFailedResumes = 3

// Client keeps a session with a server over as many connections as needed. It
// connects when there is something to send, resumes the session when the server
// has closed the connection, and does a handshake when the server has forgotten
// the session. It is safe for use by several goroutines; messages go one after
// the other.
type Client struct {
	// Address of the server, HOST:PORT.
	Address string
	// Config for each connection. Its Session is the first to be resumed.
	Config Config

	once sync.Once
	turn chan struct{} // full while a goroutine uses what follows

	conn   *Conn
	key    *rsa.PrivateKey // made here if Config has none
	memory *Memory
	failed int    // connections in a row that didn't resume the session
	serial uint64 // of the last list of keys

	mu      sync.Mutex
	session *Session
}

// Send sends a message and returns the response. It waits for its turn first;
// the context bounds that as well. It never sends a message again that may have
// reached the server: after an error the caller decides whether to do that.
func (c *Client) Send(ctx context.Context, message []byte) ([]byte, error) {
	if err := c.acquire(ctx); err != nil {
		return nil, err
	}
	defer c.release()
	for asked := false; ; {
		if c.conn != nil && c.conn.session.spent() {
			c.drop()
		}
		kept := c.conn != nil
		if !kept {
			if err := c.connect(ctx); err != nil {
				return nil, err
			}
			if !asked {
				asked = true
				c.fetchKeys(ctx)
			}
			if c.conn.broken != nil { // by asking; the message wasn't sent
				c.drop()
				continue
			}
		}
		response, err := c.conn.RoundTrip(ctx, message)
		if c.conn.broken != nil {
			c.drop()
		}
		if kept && errors.Is(err, ErrStale) {
			continue // on a new connection
		}
		return response, err
	}
}

// Session returns a copy of the session, to be resumed later; nil if there is
// none yet.
func (c *Client) Session() *Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := cmp.Or(c.session, c.Config.Session)
	if s == nil {
		return nil
	}
	clone := *s
	return &clone
}

// Close waits for the message in flight, if any, and closes the connection.
// The client can be used again.
func (c *Client) Close() error {
	if err := c.acquire(context.Background()); err != nil {
		return err
	}
	defer c.release()
	c.drop()
	return nil
}

func (c *Client) acquire(ctx context.Context) error {
	c.once.Do(func() { c.turn = make(chan struct{}, 1) })
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Client) release() { <-c.turn }

func (c *Client) connect(ctx context.Context) error {
	cfg := c.Config
	cfg.makeKey = c.clientKey
	cfg.Session = c.Session()
	if c.failed >= maxFailedResumes {
		cfg.Session = nil
	}
	if cfg.Memory == nil {
		if c.memory == nil {
			c.memory = defaultMemory()
		}
		cfg.Memory = c.memory
	}
	conn, err := Dial(ctx, "tcp", c.Address, &cfg)
	if err != nil {
		var failed *resumeError
		if errors.As(err, &failed) {
			c.failed++
		}
		return err
	}
	c.conn, c.failed = conn, 0
	c.mu.Lock()
	defer c.mu.Unlock()
	s := conn.Session()
	c.session = &s
	return nil
}

// clientKey makes the client's key once, and not before a handshake needs it.
func (c *Client) clientKey() (key *rsa.PrivateKey, err error) {
	if c.key == nil {
		c.key, err = GenerateKey()
	}
	return c.key, err
}

func (c *Client) drop() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
