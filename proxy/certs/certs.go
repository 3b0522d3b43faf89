// Package certs has the certificates of HTTPS listeners: from PEM files, from a
// certificate authority by ACME (RFC 8555), or self-signed for development.
//
// Make a Manager, add the listeners, and call Prepare, which makes what is missing;
// then open their sockets, and call Start last: the CA's challenges come in on these
// sockets. Another Set of certificates can take the place of the first at any time.
package certs

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// lookInterval is how often files and the expiry of certificates are checked.
const lookInterval = 5 * time.Second

// Options are the certificates of one HTTPS listener, and what else its TLS has.
type Options struct {
	// Certificates: a client gets the first of those for the whole name that it asks
	// for (SNI) that it supports, else the first whose wildcard takes the name. One that
	// asks for no name gets the first of all, and one that asks for another name the
	// alert unrecognized_name.
	Certificates []Certificate

	// MinVersion is the oldest version of TLS. Default: 1.2.
	MinVersion uint16
}

// Certificate is one of the certificates of a listener: exactly one of Files, ACME and
// Internal.
type Certificate struct {
	// Hosts are the names that clients may ask for: example.org, or
	// *.example.org for all names with one label more. With Files they may be left
	// out, and are then the names in the certificates.
	Hosts []string

	// Files are certificates on disk. They are served anew when the files
	// change.
	Files []KeyPair

	// ACME has them issued by a certificate authority, one for each of Hosts.
	ACME *ACME

	// Internal makes one for all of Hosts and localhost. It is self-signed, so
	// clients must be configured to trust it: STORAGE/internal/LISTENER.crt, which
	// is replaced after a year. The second of a listener is LISTENER-2.crt.
	Internal bool

	// ClientAuth asks clients for a certificate. Default: they aren't asked.
	ClientAuth *ClientAuth
}

// Error is what is wrong with a certificate of Options.
type Error struct {
	Certificate int // its index
	Err         error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Manager keeps the certificates of all listeners.
type Manager struct {
	storage string
	shared  certmagic.Storage // nil: in storage, too
	log     *zap.Logger
	mu      sync.RWMutex
	set     *Set            // in use
	acme    *acmeManager    // nil: no listener has used ACME
	ctx     context.Context // of the tasks; nil before Start
	cancel  context.CancelFunc
	tasks   sync.WaitGroup

	// Tests make these shorter.
	renewCheck time.Duration // default: certmagic's
	firstRetry time.Duration
}

// source has one of the certificates of a listener. Its methods are safe for concurrent
// use, except for refresh.
type source interface {
	// certificate returns the certificate for a name that the client may ask
	// for, nil if there is none.
	certificate(name string, hello *tls.ClientHelloInfo) (*tls.Certificate, error)
	// prepare makes what the first client needs.
	prepare() error
	// refresh checks whether the certificates are still current. It doesn't wait for
	// the network.
	refresh()
	// status returns the state of the certificates.
	status() []Status
}

// New returns a Manager that keeps keys, certificates and accounts in the folder
// storage, which it makes when needed. Several daemons may share it.
func New(storage string, logger *zap.Logger) *Manager {
	if logger == nil {
		logger = zap.NewNop()
	}
	m := &Manager{storage: storage, log: logger, firstRetry: firstRetry}
	m.set = m.NewSet()
	return m
}

// Add adds a listener to the certificates that are in use; see Set.Add. It returns the
// configuration of its TLS.
func (m *Manager) Add(listener string, o Options) (*tls.Config, error) {
	next := m.NewSet()
	next.list = append(next.list, m.set.list...)
	maps.Copy(next.byHost, m.set.byHost)
	next.demand = append(next.demand, m.set.demand...)
	made, err := next.Add(listener, o)
	if err != nil {
		return nil, err
	}
	m.Use(next)
	return made.Config, nil
}

// Prepare is Set.Prepare for the certificates that are in use.
func (m *Manager) Prepare() error { return m.set.Prepare() }

// Share has certificates that come by ACME kept in s, with the accounts and the
// challenges, instead of in the folder. It is called before the first Set.
func (m *Manager) Share(s certmagic.Storage) { m.shared = s }

// sharedStorage returns where certificates that come by ACME are kept.
func (m *Manager) sharedStorage() certmagic.Storage {
	if m.shared != nil {
		return m.shared
	}
	return &certmagic.FileStorage{Path: m.storage}
}

// makeStorage makes the folder that certificates are kept in.
func makeStorage(storage string) error {
	if err := os.MkdirAll(storage, 0o700); err != nil {
		return fmt.Errorf("the folder of certificates: %w", err)
	}
	return nil
}

// Start obtains, renews and watches the certificates in the background, until ctx
// ends or Close is called. The sockets of the listeners must be open, or else
// certmagic opens sockets of its own for the CA's challenges.
func (m *Manager) Start(ctx context.Context) {
	ctx, m.cancel = context.WithCancel(ctx)
	m.tasks.Go(func() {
		tick := time.NewTicker(lookInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			m.mu.RLock()
			set := m.set
			m.mu.RUnlock()
			for _, l := range set.list {
				for _, e := range l.entries {
					e.source.refresh()
				}
			}
		}
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ctx = ctx
	m.obtain(m.NewSet(), m.set)
}

// Use puts other certificates in the place of those that are in use. Connections, and
// the TLS of earlier sets, stay as they are.
func (m *Manager) Use(next *Set) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.set
	m.set = next
	if m.acme != nil {
		m.acme.use(next)
	}
	if m.ctx != nil {
		m.obtain(old, next)
	}
}

// obtain begins to obtain the certificates of hosts that are new, and forgets those
// of hosts that are gone. The caller holds the mutex.
func (m *Manager) obtain(old, next *Set) {
	for _, s := range next.demand {
		s.begin(m.ctx)
	}
	for _, s := range old.demand {
		if !slices.Contains(next.demand, s) {
			s.stop()
			m.tasks.Go(s.demand.close)
			for _, name := range s.demand.list() {
				m.acme.forget(name) // another source has it loaded when a client asks
			}
		}
	}
	for host, s := range next.byHost {
		if old.byHost[host] != s {
			ctx := s.begin(m.ctx)
			m.tasks.Go(func() { s.obtain(ctx, host) })
		}
	}
	for host, s := range old.byHost {
		if next.byHost[host] != s {
			s.stop()
		}
		if next.byHost[host] == nil {
			m.acme.forget(host)
		}
	}
}

// Close ends what Start began, and waits for it. The TLS configurations remain
// usable.
func (m *Manager) Close() {
	if m.cancel != nil {
		m.cancel()
	}
	m.tasks.Wait()
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, s := range m.set.demand {
		s.demand.close()
	}
	if m.acme != nil {
		m.acme.close()
	}
}
