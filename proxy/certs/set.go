package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"go.uber.org/zap"
)

// Set is the certificates of all listeners of one configuration. Nothing of it is
// served before Manager.Use.
type Set struct {
	manager *Manager
	list    []*listed
	byHost  map[string]*acmeSource // whose certificates come by ACME
	demand  []*acmeSource          // whose certificates come on demand, too
}

// listed is a listener of a Set.
type listed struct {
	listener string
	entries  []*entry
	tickets  *tls.Config // whose keys seal sessions of TLS
}

// entry is one of the certificates of a listener.
type entry struct {
	options Certificate
	hosts   *hosts
	source  source
	auth    *clientAuth // nil: clients aren't asked for a certificate
}

// NewSet returns a Set without listeners. One Set at a time may be filled.
func (m *Manager) NewSet() *Set { return &Set{manager: m, byHost: make(map[string]*acmeSource)} }

// Add adds a listener by its name, and returns its TLS: version 1.2 or 1.3, with HTTP/2
// and HTTP/1.1. It reads files, and writes nothing. Its error, an *Error if it concerns
// one of the certificates, reports what is wrong with o.
//
// A listener of this name that is in use has in its certificates, as far as they haven't
// changed, what a CA has issued or will issue. Its clients resume their sessions.
func (s *Set) Add(listener string, o Options) (*TLS, error) {
	if len(o.Certificates) == 0 {
		return nil, errors.New("the listener has no certificate")
	}
	l := &listed{listener: listener}
	old := s.manager.inUse(listener)
	if old != nil {
		l.tickets = old.tickets
	} else {
		l.tickets = new(tls.Config)
	}
	log := s.manager.log.With(zap.String("listener", listener))
	for i := range o.Certificates {
		e, err := s.addEntry(old, l, &o.Certificates[i], log)
		if err == nil {
			err = l.overlap(e)
		}
		if err != nil {
			return nil, &Error{i, err}
		}
		if f, ok := e.source.(*files); ok {
			f.clash = func(changed *files) error {
				return l.overlap(&entry{options: e.options, hosts: e.hosts, source: changed, auth: e.auth})
			}
		}
		l.entries = append(l.entries, e)
	}
	s.list = append(s.list, l)
	return newTLS(l, &o), nil
}

// addEntry adds a certificate to a listener. old is the listener of this name that is
// in use, nil if there is none.
func (s *Set) addEntry(old, l *listed, o *Certificate, log *zap.Logger) (*entry, error) {
	if err := s.manager.check(o); err != nil {
		return nil, err
	}
	h, err := newHosts(o.Hosts)
	if err != nil {
		return nil, err
	}
	onDemand := o.ACME != nil && o.ACME.OnDemand != nil
	for _, other := range l.entries {
		if onDemand && other.options.ACME != nil && other.options.ACME.OnDemand != nil {
			return nil, errors.New("another certificate of this listener is obtained on demand already")
		}
	}
	if len(o.Files) == 0 && len(h.list) == 0 && !onDemand {
		return nil, errors.New("no hosts: which names are the certificates for?")
	}
	e := &entry{options: *o, hosts: h}
	if e.auth, err = newClientAuth(o.ClientAuth, log); err != nil {
		return nil, err
	}
	switch {
	case o.ACME != nil:
		e.source, err = s.addACME(old, e, log)
	case o.Internal:
		e.source, err = s.addInternal(old, l, e, log)
	default:
		e.source, err = newFiles(o.Files, h, log)
	}
	return e, err
}

// addInternal returns a source of an internal certificate: that of old if it is for the
// same names.
func (s *Set) addInternal(old, l *listed, e *entry, log *zap.Logger) (source, error) {
	name, n := l.listener, 1
	for _, other := range l.entries {
		if other.options.Internal {
			n++
		}
	}
	if n > 1 {
		name = fmt.Sprintf("%s-%d", name, n)
	}
	made, err := newInternal(s.manager.storage, name, e.hosts, log)
	if err != nil || old == nil {
		return made, err
	}
	for _, other := range old.entries {
		if before, ok := other.source.(*internal); ok && before.certFile == made.certFile && slices.Equal(before.hosts, made.hosts) {
			return before, nil
		}
	}
	return made, nil
}

// sameCertificate reports whether the certificate of another entry can be used for e.
func (e *entry) sameCertificate(other *entry) bool {
	a, b := e.options, other.options
	a.ClientAuth, b.ClientAuth = nil, nil
	return reflect.DeepEqual(a, b)
}

// check checks that there is one source of certificates.
func (m *Manager) check(o *Certificate) error {
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

// Prepare makes the certificates of Internal that don't exist yet, and the folder
// of storage. Call it before Use.
func (s *Set) Prepare() error {
	for _, l := range s.list {
		for _, e := range l.entries {
			if err := e.source.prepare(); err != nil {
				return err
			}
		}
	}
	return nil
}
