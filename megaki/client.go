package megaki

import (
	"context"
	"sync"
)

// Client keeps a session with a server over as many connections as it takes:
// it connects when there is something to send, resumes the session when the
// server has closed the connection, and does a handshake when the session is
// forgotten. It is safe for use by several goroutines; messages go one after
// the other.
type Client struct {
	// Address of the server, HOST:PORT.
	Address string
	// Config for each connection. Its Session is the first to be resumed.
	Config Config

	mu      sync.Mutex
	conn    *Conn
	session *Session
}

// Send sends a message and returns the answer. A message that may have reached
// the server isn't sent again.
func (c *Client) Send(ctx context.Context, message []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil && (c.conn.count >= c.conn.maxMessages || c.conn.stale()) {
		c.drop()
	}
	if c.conn == nil {
		if err := c.connect(ctx); err != nil {
			return nil, err
		}
	}
	answer, err := c.conn.RoundTrip(ctx, message)
	if err != nil && c.conn.broken != nil {
		c.drop()
	}
	return answer, err
}

// Session returns the session to be resumed later, nil if there is none yet.
func (c *Client) Session() *Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		return c.Config.Session
	}
	s := *c.session
	return &s
}

// Close closes the connection. The client can be used again.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop()
	return nil
}

func (c *Client) connect(ctx context.Context) error {
	cfg := c.Config
	if c.session != nil {
		cfg.Session = c.session
	}
	conn, err := Dial(ctx, "tcp", c.Address, &cfg)
	if err != nil {
		return err
	}
	s := conn.Session()
	c.conn, c.session = conn, &s
	return nil
}

func (c *Client) drop() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
