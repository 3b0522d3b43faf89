package megaki

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// KeyTrust is what a client trusts in lists of keys.
type KeyTrust struct {
	// Root is the public root key. Without it a list is reported, and nothing of it
	// is proven.
	Root ed25519.PublicKey
	// Site is the server's name in its lists. Empty: any.
	Site string
	// Serial is that of the last list. A lower one is refused.
	Serial uint64
}

// FetchKeys asks the server for its list of keys, and checks it. It is for servers
// whose messages are HTTP requests. It returns nil and no error if the server has no
// list.
func (c *Conn) FetchKeys(ctx context.Context, trust KeyTrust) (*KeyList, error) {
	response, err := c.RoundTrip(ctx, []byte("GET "+KeyListPath+" HTTP/1.1\r\nHost: megaki\r\nAccept: application/json\r\n\r\n"))
	if err != nil {
		return nil, fmt.Errorf("asking for the list of keys: %w", err)
	}
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(response)), nil)
	if err != nil {
		return nil, errors.New("asking for the list of keys: the response isn't HTTP")
	}
	defer r.Body.Close()
	switch {
	case r.StatusCode == http.StatusNotFound:
		return nil, nil
	case r.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("asking for the list of keys: the server responds with %s", r.Status)
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, MaxKeyList+1))
	if err != nil {
		return nil, fmt.Errorf("asking for the list of keys: %w", err)
	}
	list, err := ParseKeyList(data, trust.Root)
	if err != nil {
		return nil, err
	}
	return list, list.Newer(trust.Site, trust.Serial, time.Now())
}

// fetchKeys reports the list of keys to OnKeys after a handshake. An error of the list
// is reported there too: it is no fault of the connection.
func (c *Client) fetchKeys(ctx context.Context) {
	if c.Config.OnKeys == nil || c.conn.Resumed() {
		return
	}
	trust := c.Config.KeyTrust
	trust.Serial = max(trust.Serial, c.serial)
	list, err := c.conn.FetchKeys(ctx, trust)
	if err == nil && list != nil && trust.Root != nil {
		c.serial = list.Serial
	}
	if err != nil {
		list = nil
	}
	if list != nil || err != nil {
		c.Config.OnKeys(list, err)
	}
}
