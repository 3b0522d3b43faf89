package listener

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"

	"mkd/config"
	"mkd/megaki"
	"mkd/proxy/httpmsg"
	"mkd/proxy/listen"
	"mkd/proxy/ratelimit"
	"mkd/proxy/request"
	"mkd/share"
)

// megakiListener takes messages out of Megaki sessions, and makes requests of
// them.
type megakiListener struct {
	name   string
	cfg    *config.Megaki
	daemon *Daemon
	server *megaki.Server
}

// newMegaki returns a Megaki listener. It reads the key files.
func newMegaki(c *config.Listener, d *Daemon) (Listener, error) {
	keys, err := loadKeys(c.Megaki)
	if err != nil {
		return nil, err
	}
	l := &megakiListener{name: c.Name, cfg: c.Megaki, daemon: d}
	l.server = &megaki.Server{
		Keys:              keys,
		Handler:           l,
		MaxMessage:        int(c.Megaki.MaxMessage),
		MaxMessagesPerKey: c.Megaki.MaxMessagesPerKey,
		MaxConnections:    c.Megaki.MaxConnections,
		HandshakeTimeout:  c.Megaki.HandshakeTimeout,
		MessageTimeout:    c.Megaki.MessageTimeout,
		WriteTimeout:      c.Megaki.WriteTimeout,
		IdleTimeout:       c.Megaki.IdleTimeout,
		Sessions:          d.Sessions,
		SessionTTL:        d.SessionTTL,
		Memory:            d.Memory,
		TrustedProxies:    d.Trusted,
		Logger:            d.Logs.Peers(c.Name),
	}
	if rate := c.Megaki.HandshakesPerIP; rate.Rate > 0 {
		limit := ratelimit.New[netip.Prefix](rate.Rate, rate.Burst)
		l.server.AllowHandshake = func(client netip.Addr) bool { return limit.Take(share.Network(client)) == 0 }
	}
	return l, nil
}

// loadKeys reads the private keys of a listener.
func loadKeys(m *config.Megaki) ([]crypto.Decrypter, error) {
	var passphrase []byte
	if m.KeyPassphraseFile != "" {
		data, err := os.ReadFile(m.KeyPassphraseFile)
		if err != nil {
			return nil, fmt.Errorf("reading the passphrase: %w", err)
		}
		passphrase = bytes.TrimRight(data, "\r\n")
	}
	var keys []crypto.Decrypter
	for _, path := range m.Keys {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading a server key: %w", err)
		}
		key, err := megaki.ParsePrivateKey(data, passphrase)
		if errors.Is(err, megaki.ErrPassphrase) {
			return nil, fmt.Errorf("server key %s: %w; set key_passphrase_file", path, err)
		}
		if err != nil {
			return nil, fmt.Errorf("server key %s: %w", path, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Listen implements Listener.
func (l *megakiListener) Listen() (net.Listener, error) {
	return listen.Listen(listen.Options{
		Address:             l.cfg.Address,
		MaxConnections:      l.cfg.MaxConnections,
		MaxConnectionsPerIP: l.cfg.MaxConnectionsPerIP,
		Exempt:              l.daemon.Trusted,
		ProxyProtocol:       Networks(l.cfg.ProxyProtocol.From),
		Logger:              l.daemon.Logs.Peers(l.name),
	})
}

// Serve implements Listener.
func (l *megakiListener) Serve(socket net.Listener) error {
	if err := l.server.Serve(socket); !errors.Is(err, megaki.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown implements Listener.
func (l *megakiListener) Shutdown(ctx context.Context) error { return l.server.Shutdown(ctx) }

// ServeMegaki implements megaki.Handler. An error closes the connection.
func (l *megakiListener) ServeMegaki(out *megaki.ResponseWriter, m *megaki.Request) error {
	raw := isRaw(l.cfg.Payload, m.Body)
	h, refused := new(http.Request), error(nil)
	if !raw {
		var parsed *http.Request
		if parsed, refused = httpmsg.ParseRequest(m.Body, httpmsg.Limits{Fields: l.cfg.MaxFields}); refused == nil {
			h = parsed
		}
	}
	r := new(request.Request)
	h = h.WithContext(r.Open(m.Context(), l.daemon.Base))
	r.Begin(h, l.daemon.Enter(l.name))
	defer r.Leave()
	r.Listener, r.Raw, r.Message, r.Session, r.Secure = l.name, raw, m.Body, &m.Session, true
	r.Remote, r.Client = m.Client, m.Client
	w := newMessage(out, raw)
	w.head = h.Method == http.MethodHead
	return r.Handle(w, refused)
}

// isRaw reports whether a message is opaque bytes.
func isRaw(configured config.Payload, message []byte) bool {
	return configured == config.PayloadRaw || configured == config.PayloadAuto && !httpmsg.IsRequest(message)
}
