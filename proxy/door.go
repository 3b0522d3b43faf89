package proxy

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"mkd/config"
	"mkd/megaki"
)

// shared is what all Megaki doors have in common.
type shared struct {
	ctx      context.Context // ends when requests under way are cut off
	memory   *megaki.Memory
	sessions megaki.SessionStore
	ttl      time.Duration
}

// door is a Megaki listener: it takes messages out of sessions and hands them
// to the router.
type door struct {
	name     string
	cfg      *config.Megaki
	server   *megaki.Server
	listener net.Listener
	ctx      context.Context
	router   *router
	logs     *Logs
}

func newDoor(l *config.Listener, r *router, sh *shared, logs *Logs) (*door, error) {
	keys, err := loadKeys(l.Megaki)
	if err != nil {
		return nil, err
	}
	d := &door{name: l.Name, cfg: l.Megaki, ctx: sh.ctx, router: r, logs: logs}
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
		Logger:            logs.peers(l.Name),
	}
	if r := l.Megaki.HandshakesPerIP; r.Rate > 0 {
		d.server.AllowHandshake = newAddressLimit(r.Rate, r.Burst).allow
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

func (d *door) listen() (err error) {
	if d.listener, err = net.Listen("tcp", d.cfg.Address); err != nil {
		return fmt.Errorf("listener %s: %w", d.name, err)
	}
	return nil
}

// close closes the listener of a door that never served.
func (d *door) close() {
	if d.listener != nil {
		d.listener.Close()
	}
}

// ServeMegaki implements megaki.Handler: it finds the route of a message, has
// the backend answer it, and writes the access line.
func (d *door) ServeMegaki(w *megaki.ResponseWriter, r *megaki.Request) error {
	start := time.Now()
	m := message{Request: r, ctx: d.ctx, payload: payloadOf(d.cfg.Payload, r.Body)}
	route, err := d.router.find(&m)
	if err == nil {
		m.route, m.timeout = route.name, route.timeout
		err = route.backend.serve(w, &m)
	}
	status := statusOf(err)
	if err != nil {
		if w.Reset(); m.payload == config.PayloadHTTP {
			writeError(w, status)
		}
	}
	d.logs.access(d.name, route, &m, status, w.Len(), time.Since(start), err)
	if err != nil && m.payload != config.PayloadHTTP {
		return err
	}
	return nil
}
