package proxy

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"mkd/config"
	"mkd/megaki"
	"mkd/proxy/logs"
	"mkd/sessions"
	"mkd/sessions/file"
	"mkd/sessions/handover"
	"mkd/sessions/redis"
)

// sessionStore is the store of Megaki sessions, which belongs to the daemon, and what
// is known of it.
type sessionStore struct {
	*handover.Switch
	kind   string              // its section in config.yaml
	memory *megaki.MemoryStore // nil: they are elsewhere

	mu      sync.Mutex // guards what follows
	guard   *sessions.Guard
	backing backingStore // behind guard; nil in memory
	moved   bool         // another process has the store
}

// backingStore is a store outside of memory.
type backingStore interface {
	megaki.SessionStore
	io.Closer
	Unreadable() uint64
}

// sessionStats are what is known of the store of sessions.
type sessionStats struct {
	Kind string // memory, file or redis
	// Sessions is how many are kept, -1 if only the store knows.
	Sessions int
	// Guard counts the operations of a store outside of memory.
	Guard sessions.GuardStats
	// Unreadable counts records that no secret opens.
	Unreadable uint64
}

// newSessionStore makes the store of a configuration. It reads the secrets, and opens
// nothing yet.
func newSessionStore(c *config.Sessions, l *logs.Logs) (*sessionStore, error) {
	if c.Store == nil || c.Store.Memory != nil {
		memory := megaki.NewMemoryStore(c.Capacity)
		return &sessionStore{Switch: handover.NewSwitch(memory), kind: "memory", memory: memory}, nil
	}
	sealer, err := newSealer(c)
	if err != nil {
		return nil, err
	}
	s := new(sessionStore)
	if f := c.Store.File; f != nil {
		s.kind, s.backing = "file", file.New(file.Options{Path: f.Path, Sealer: sealer, Capacity: c.Capacity, Logger: l.Sessions()})
	} else {
		connection, err := redisConnection(&c.Store.Redis.Redis)
		if err != nil {
			return nil, err
		}
		s.kind = "redis"
		if s.backing, err = redis.New(redis.Options{Connection: connection, Prefix: c.Store.Redis.Prefix, Sealer: sealer}); err != nil {
			return nil, err
		}
	}
	s.guard = sessions.NewGuard(s.backing, sessions.GuardOptions{Timeout: c.Timeout, Logger: l.Sessions()})
	s.Switch = handover.NewSwitch(s.guard)
	return s, nil
}

// newSealer reads the secrets of a configuration.
func newSealer(c *config.Sessions) (*sessions.Sealer, error) {
	secret, err := readSecret(c.SecretFile)
	if err != nil {
		return nil, err
	}
	var old [][]byte
	for _, path := range c.OldSecretFiles {
		s, err := readSecret(path)
		if err != nil {
			return nil, err
		}
		old = append(old, s)
	}
	return sessions.NewSealer(secret, old...)
}

// readSecret reads a secret from its file.
func readSecret(path string) ([]byte, error) {
	secret, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the secret: %w", err)
	}
	if secret = bytes.TrimSpace(secret); len(secret) < sessions.MinSecret {
		return nil, fmt.Errorf("the secret in %s has %d bytes, want %d at least; make one with: openssl rand -hex 32 > FILE", path, len(secret), sessions.MinSecret)
	}
	return secret, nil
}

// redisConnection returns how a server is reached. It reads the certificates.
func redisConnection(c *config.Redis) (redis.Connection, error) {
	r := redis.Connection{Addresses: c.Addresses, Username: c.Username, Password: c.Password, DB: c.DB, Cluster: c.Cluster}
	if s := c.Sentinel; s != nil {
		r.Sentinel = &redis.Sentinel{Master: s.Master, Username: s.Username, Password: s.Password}
	}
	if t := c.TLS; t != nil {
		r.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
		if t.CA != "" {
			pem, err := os.ReadFile(t.CA)
			if err != nil {
				return r, fmt.Errorf("reading the authorities of redis: %w", err)
			}
			r.TLS.RootCAs = x509.NewCertPool()
			if !r.TLS.RootCAs.AppendCertsFromPEM(pem) {
				return r, fmt.Errorf("%s has no certificates in PEM", t.CA)
			}
		}
		if t.Cert != "" {
			pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
			if err != nil {
				return r, fmt.Errorf("the certificate for redis: %w", err)
			}
			r.TLS.Certificates = []tls.Certificate{pair}
		}
	}
	return r, nil
}

// open opens a store that is a file.
func (s *sessionStore) open() error {
	_, backing := s.outside()
	if f, ok := backing.(*file.Store); ok {
		return f.Open()
	}
	return nil
}

// outside returns the store outside of memory, nil in memory.
func (s *sessionStore) outside() (*sessions.Guard, backingStore) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.guard, s.backing
}

// close closes the store after its last use.
func (s *sessionStore) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.backing == nil || s.moved {
		return nil
	}
	return errors.Join(s.guard.Close(), s.backing.Close())
}

// giveUp closes the store, for another process to open it.
func (s *sessionStore) giveUp() error {
	err := s.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved = true
	return err
}

// reopen takes back what giveUp has given up. It returns the store for the Switch.
func (s *sessionStore) reopen(c *config.Sessions, l *logs.Logs) (megaki.SessionStore, error) {
	again, err := newSessionStore(c, l)
	if err == nil {
		err = again.open()
	}
	if err != nil {
		return nil, fmt.Errorf("opening the session file again: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.guard, s.backing, s.moved = again.guard, again.backing, false
	return again.guard, nil
}

// sessionStats returns what is known of the store of sessions.
func (d *Daemon) sessionStats() sessionStats {
	s := d.sessions
	stats := sessionStats{Kind: s.kind, Sessions: -1}
	guard, backing := s.outside()
	if backing != nil {
		stats.Guard, stats.Unreadable = guard.Stats(), backing.Unreadable()
	}
	switch store := s.Store().(type) {
	case *megaki.MemoryStore:
		stats.Sessions = store.Len()
	case *sessions.Guard:
		if f, ok := backing.(*file.Store); ok {
			stats.Sessions = f.Len()
		}
	}
	return stats
}
