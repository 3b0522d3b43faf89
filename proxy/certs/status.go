package certs

import (
	"crypto/tls"
	"slices"
	"sync"
	"time"
)

// Status is the state of a certificate.
type Status struct {
	Listener string
	Source   string    // file, acme or internal
	Name     string    // the file, or the host
	Hosts    []string  // that it is for
	NotAfter time.Time // zero: there is no certificate yet
	Error    string    // why it couldn't be loaded, obtained or renewed last; "": it could
	ErrorAt  time.Time
	NextTry  time.Time // when it is tried again after Error; zero: that isn't known
}

// Status returns the state of the certificates of all listeners, in their order.
func (m *Manager) Status() (all []Status) {
	m.mu.RLock()
	set := m.set
	m.mu.RUnlock()
	for _, l := range set.list {
		for _, e := range l.entries {
			for _, st := range e.source.status() {
				st.Listener = l.listener
				all = append(all, st)
			}
		}
	}
	return all
}

// certStatus returns the state of a certificate that may be nil.
func certStatus(source, name string, cert *tls.Certificate, f fault) Status {
	st := Status{Source: source, Name: name, Error: f.text, ErrorAt: f.at, NextTry: f.next}
	if cert != nil && cert.Leaf != nil {
		st.NotAfter, st.Hosts = cert.Leaf.NotAfter, cert.Leaf.DNSNames
	}
	return st
}

// fault is the last failure of a certificate, "" if there is none.
type fault struct {
	text string
	at   time.Time
	next time.Time // attempt; zero: unknown
}

// faults are the last failures by the name of a certificate. It is safe for use by
// several goroutines.
type faults struct {
	mu    sync.Mutex
	names map[string]fault
}

// set notes how the last attempt ended.
func (f *faults) set(name string, err error) { f.setNext(name, err, time.Time{}) }

// setNext is set with the time of the next attempt.
func (f *faults) setNext(name string, err error, next time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		delete(f.names, name)
		return
	}
	if f.names == nil {
		f.names = make(map[string]fault)
	}
	f.names[name] = fault{err.Error(), time.Now(), next}
}

func (f *faults) get(name string) fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.names[name]
}

func (f *files) status() (all []Status) {
	for _, p := range f.pairs {
		all = append(all, certStatus("file", p.Cert, p.cert.Load(), f.faults.get(p.Cert)))
	}
	return all
}

func (s *internal) status() []Status {
	return []Status{certStatus("internal", s.certFile, s.cert.Load(), s.faults.get(s.certFile))}
}

// maxListed bounds the certificates on demand in the status.
const maxListed = 1000

func (s *acmeSource) status() (all []Status) {
	hosts := s.hosts
	if s.demand != nil {
		onDemand := s.demand.list()
		slices.Sort(onDemand)
		onDemand = onDemand[:min(len(onDemand), maxListed)]
		hosts = slices.Concat(hosts, onDemand)
	}
	for _, host := range hosts {
		var cert *tls.Certificate
		for _, c := range s.cache.AllMatchingCertificates(host) {
			if slices.Contains(c.Names, host) { // else it is a wildcard's
				cert = &c.Certificate
			}
		}
		st := certStatus("acme", host, cert, s.faults.get(host))
		st.Hosts = []string{host}
		all = append(all, st)
	}
	return all
}
