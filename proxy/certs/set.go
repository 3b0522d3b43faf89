package certs

import (
	"crypto/tls"
	"errors"
	"reflect"
	"sync/atomic"

	"go.uber.org/zap"
)

// Set is the certificates of all listeners of one configuration. Nothing of it is
// served before Manager.Use.
type Set struct {
	manager *Manager
	list    []*listed
	byHost  map[string]*acmeSource // whose certificates come by ACME
}

// listed is a listener of a Set.
type listed struct {
	listener string
	options  Options
	hosts    *hosts
	source   source
	serving  *serving
}

// serving is a configuration of TLS, which lives as long as its listener: so clients
// resume their sessions of TLS after other certificates have come into use.
type serving struct {
	config  *tls.Config
	current atomic.Pointer[listed]
}

// NewSet returns a Set without listeners. One Set at a time may be filled.
func (m *Manager) NewSet() *Set { return &Set{manager: m, byHost: make(map[string]*acmeSource)} }

// Add adds a listener by its name, and returns the configuration of its TLS: version
// 1.2 or 1.3, with HTTP/2 and HTTP/1.1. It reads Files, and writes nothing. Its error
// reports what is wrong with o.
//
// A listener of this name that is in use keeps its configuration, and, if o hasn't
// changed, what a CA has issued or will issue.
func (s *Set) Add(listener string, o Options) (*tls.Config, error) {
	if err := s.manager.check(&o); err != nil {
		return nil, err
	}
	h, err := newHosts(o.Hosts)
	if err != nil {
		return nil, err
	}
	if len(o.Files) == 0 && len(h.list) == 0 {
		return nil, errors.New("no hosts: which names are the certificates for?")
	}
	l := &listed{listener: listener, options: o, hosts: h}
	old := s.manager.inUse(listener)
	log := s.manager.log.With(zap.String("listener", listener))
	switch {
	case o.ACME != nil:
		l.source, err = s.addACME(old, l, log)
	case o.Internal && old != nil && reflect.DeepEqual(old.options, o):
		l.source = old.source
	case o.Internal:
		l.source, err = newInternal(s.manager.storage, listener, h, log)
	default:
		l.source, err = newFiles(o.Files, h, log)
	}
	if err != nil {
		return nil, err
	}
	if old != nil && (old.options.ACME == nil) == (o.ACME == nil) {
		l.serving = old.serving
	} else {
		l.serving = newServing(o.ACME != nil)
		l.serving.current.Store(l)
	}
	s.list = append(s.list, l)
	return l.serving.config, nil
}

// check checks that there is one source of certificates.
func (m *Manager) check(o *Options) error {
	kinds := 0
	for _, given := range []bool{len(o.Files) > 0, o.ACME != nil, o.Internal} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return errors.New("certificates come from files, from ACME, or are internal: exactly one of them")
	case len(o.Files) == 0 && m.storage == "":
		return errors.New("no folder to keep certificates in")
	}
	return nil
}

// inUse returns the listener of a name that is in use, nil if there is none.
func (m *Manager) inUse(listener string) *listed {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, l := range m.set.list {
		if l.listener == listener {
			return l
		}
	}
	return nil
}

func newServing(acme bool) *serving {
	s := &serving{config: &tls.Config{
		MinVersion:   tls.VersionTLS12,
		CipherSuites: AEADSuites(),
		NextProtos:   []string{"h2", "http/1.1"},
	}}
	if acme {
		s.config.NextProtos = append(s.config.NextProtos, acmeProtocol)
	}
	s.config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		l := s.current.Load()
		name, ok := l.hosts.choose(hello.ServerName)
		if !ok {
			// crypto/tls sends the alert unrecognized_name.
			return nil, nil
		}
		return l.source.certificate(name, hello)
	}
	return s
}

// Prepare makes the certificates of Internal that don't exist yet, and the folder
// of storage. Call it before Use.
func (s *Set) Prepare() error {
	for _, l := range s.list {
		if err := l.source.prepare(); err != nil {
			return err
		}
	}
	return nil
}
