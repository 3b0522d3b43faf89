package proxy

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"mkd/config"
	"mkd/megaki"
	"mkd/proxy/httpmsg"
	"mkd/proxy/listen"
	"mkd/proxy/logs"
)

// shared is what all Megaki doors have in common.
type shared struct {
	memory   *megaki.Memory
	sessions megaki.SessionStore
	ttl      time.Duration
}

// megakiDoor is a Megaki listener: it takes messages out of sessions and makes
// requests of them.
type megakiDoor struct {
	name   string
	cfg    *config.Megaki
	server *megaki.Server
	gate   *gate
	logs   *logs.Logs
}

func newMegakiDoor(l *config.Listener, g *gate, sh *shared, logs *logs.Logs) (*megakiDoor, error) {
	keys, err := loadKeys(l.Megaki)
	if err != nil {
		return nil, err
	}
	d := &megakiDoor{name: l.Name, cfg: l.Megaki, gate: g, logs: logs}
	d.server = &megaki.Server{
		Keys:              keys,
		Handler:           d,
		MaxMessage:        int(l.Megaki.MaxMessage),
		MaxMessagesPerKey: l.Megaki.MaxMessagesPerKey,
		MaxConnections:    l.Megaki.MaxConnections,
		HandshakeTimeout:  l.Megaki.HandshakeTimeout,
		MessageTimeout:    l.Megaki.MessageTimeout,
		WriteTimeout:      l.Megaki.WriteTimeout,
		IdleTimeout:       l.Megaki.IdleTimeout,
		Sessions:          sh.sessions,
		SessionTTL:        sh.ttl,
		Memory:            sh.memory,
		Logger:            logs.Peers(l.Name),
	}
	if r := l.Megaki.HandshakesPerIP; r.Rate > 0 {
		d.server.AllowHandshake = newHandshakeLimit(r)
	}
	return d, nil
}

// loadKeys reads the private keys of a listener.
func loadKeys(m *config.Megaki) ([]*rsa.PrivateKey, error) {
	var passphrase []byte
	if m.KeyPassphraseFile != "" {
		data, err := os.ReadFile(m.KeyPassphraseFile)
		if err != nil {
			return nil, fmt.Errorf("reading the passphrase: %w", err)
		}
		passphrase = bytes.TrimRight(data, "\r\n")
	}
	var keys []*rsa.PrivateKey
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

func (d *megakiDoor) listen() (net.Listener, error) {
	return listen.Listen(listen.Options{
		Address:             d.cfg.Address,
		MaxConnections:      d.cfg.MaxConnections,
		MaxConnectionsPerIP: d.cfg.MaxConnectionsPerIP,
		Exempt:              d.gate.trusted,
		ProxyProtocol:       networks(d.cfg.ProxyProtocol.From),
		Logger:              d.logs.Peers(d.name),
	})
}

func (d *megakiDoor) serve(l net.Listener) error {
	if err := d.server.Serve(l); !errors.Is(err, megaki.ErrServerClosed) {
		return err
	}
	return nil
}

func (d *megakiDoor) shutdown(ctx context.Context) error { return d.server.Shutdown(ctx) }

// ServeMegaki implements megaki.Handler.
func (d *megakiDoor) ServeMegaki(w *megaki.ResponseWriter, m *megaki.Request) error {
	x := &exchange{
		listener: d.name,
		payload:  payloadOf(d.cfg.Payload, m.Body),
		secure:   true,
		peer:     m.Client,
		client:   m.Client,
		session:  &m.Session,
		message:  m,
		started:  time.Now(),
		base:     d.gate.base,
	}
	x.Context = m.Context()
	a := newMessageAnswer(w, x.payload == config.PayloadRaw)
	x.answer = a
	r := new(http.Request)
	if x.payload == config.PayloadHTTP {
		if parsed, err := httpmsg.ParseRequest(m.Body); err != nil {
			x.refused = err
		} else {
			r = parsed
		}
		a.head = r.Method == http.MethodHead
	}
	d.gate.ServeHTTP(a, r.WithContext(x))
	if x.payload == config.PayloadRaw || x.unanswered {
		return x.err
	}
	return nil
}

// payloadOf tells what a message is.
func payloadOf(configured config.Payload, message []byte) config.Payload {
	switch {
	case configured != config.PayloadAuto:
		return configured
	case httpmsg.IsRequest(message):
		return config.PayloadHTTP
	}
	return config.PayloadRaw
}
