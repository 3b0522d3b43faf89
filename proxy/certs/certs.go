// Package certs has the certificates of HTTPS listeners: from PEM files, from a
// certificate authority by ACME (RFC 8555), or self-signed for development.
//
// Make a Manager, add the listeners, and call Prepare, which makes what is missing;
// then open their sockets, and call Start last: the CA's challenges come in on these
// sockets.
package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

// lookInterval is how often files and the expiry of certificates are checked.
const lookInterval = 5 * time.Second

// Options are the certificates of one HTTPS listener: exactly one of Files,
// ACME and Internal.
type Options struct {
	// Hosts are the names that clients may ask for: example.org, or
	// *.example.org for all names with one label more. A client that asks for
	// none (no SNI) gets the certificate of the first; one that asks for another
	// gets the alert unrecognized_name. With Files they may be left out, and are
	// then the names in the certificates.
	Hosts []string

	// Files are certificates on disk. They are served anew when the files
	// change.
	Files []KeyPair

	// ACME has them issued by a certificate authority, one for each of Hosts.
	ACME *ACME

	// Internal makes one for all of Hosts and localhost. It is self-signed, so
	// clients must be configured to trust it: STORAGE/internal/LISTENER.crt, which
	// is replaced after a year.
	Internal bool
}

// Manager keeps the certificates of all listeners.
type Manager struct {
	storage string
	log     *zap.Logger
	sources []source
	names   []string     // the listeners of the sources
	acme    *acmeManager // nil: no listener uses ACME
	cancel  context.CancelFunc
	tasks   sync.WaitGroup

	// Tests make these shorter.
	renewCheck time.Duration // default: certmagic's
	firstRetry time.Duration
}

// source has the certificates of one listener. Its methods are safe for concurrent
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
	return &Manager{storage: storage, log: logger, firstRetry: firstRetry}
}

// Add adds a listener by its name, before Start, and returns the configuration
// of its TLS: version 1.2 or 1.3, with HTTP/2 and HTTP/1.1. It reads Files, and
// writes nothing. Its error reports what is wrong with o.
func (m *Manager) Add(listener string, o Options) (*tls.Config, error) {
	kinds := 0
	for _, given := range []bool{len(o.Files) > 0, o.ACME != nil, o.Internal} {
		if given {
			kinds++
		}
	}
	if kinds != 1 {
		return nil, errors.New("certificates come from files, from ACME, or are internal: exactly one of them")
	}
	h, err := newHosts(o.Hosts)
	if err != nil {
		return nil, err
	}
	if len(o.Files) == 0 && len(h.list) == 0 {
		return nil, errors.New("no hosts: which names are the certificates for?")
	}
	if len(o.Files) == 0 && m.storage == "" {
		return nil, errors.New("no folder to keep certificates in")
	}

	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		CipherSuites: AEADSuites(),
		NextProtos:   []string{"h2", "http/1.1"},
	}
	log := m.log.With(zap.String("listener", listener))
	var s source
	switch {
	case o.ACME != nil:
		config.NextProtos = append(config.NextProtos, acmeProtocol)
		s, err = m.addACME(*o.ACME, h, log)
	case o.Internal:
		s, err = newInternal(m.storage, listener, h, log)
	default:
		s, err = newFiles(o.Files, h, log)
	}
	if err != nil {
		return nil, err
	}
	m.sources, m.names = append(m.sources, s), append(m.names, listener)

	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		name, ok := h.choose(hello.ServerName)
		if !ok {
			// crypto/tls sends the alert unrecognized_name.
			return nil, nil
		}
		return s.certificate(name, hello)
	}
	return config, nil
}

// Prepare makes the certificates of Internal that don't exist yet, and the folder
// of storage. Call it before the sockets are opened.
func (m *Manager) Prepare() error {
	for _, s := range m.sources {
		if err := s.prepare(); err != nil {
			return err
		}
	}
	return nil
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
			for _, s := range m.sources {
				s.refresh()
			}
		}
	})
	if m.acme != nil {
		m.acme.start(ctx, &m.tasks)
	}
}

// Close ends what Start began, and waits for it. The TLS configurations remain
// usable.
func (m *Manager) Close() {
	if m.cancel != nil {
		m.cancel()
	}
	m.tasks.Wait()
	if m.acme != nil {
		m.acme.close()
	}
}
