package certs

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

// acmeProtocol is what a CA that validates by tls-alpn-01 negotiates (RFC 8737,
// section 4).
const acmeProtocol = acmez.ACMETLS1Protocol

// Times of obtaining a certificate.
const (
	obtainTimeout = 15 * time.Minute // for one attempt
	firstRetry    = time.Minute      // then twice as long each time
	maxRetry      = time.Hour
)

// acmeSource is a source of certificates from one CA.
type acmeSource struct {
	opts       ACME
	storage    string // its folder
	log        *zap.Logger
	cache      *certmagic.Cache
	faults     faults
	hosts      []string // those that another listener doesn't have already
	issuer     *certmagic.ACMEIssuer
	manage     *certmagic.Config
	serve      *certmagic.Config // the same, quiet about what clients do
	firstRetry time.Duration

	names  *hosts  // those of the listener, which aren't on demand
	demand *demand // nil: none

	mu   sync.Mutex
	ctx  context.Context // of obtaining certificates; nil before it begins
	stop context.CancelFunc
}

// addACME returns the source of a certificate: that of old if nothing has changed.
func (set *Set) addACME(old *listed, e *entry, log *zap.Logger) (*acmeSource, error) {
	m, o := set.manager, *e.options.ACME
	o.CA = cmp.Or(o.CA, DefaultCA)
	template, err := o.template(e.hosts.list)
	if err != nil {
		return nil, err
	}
	var hosts []string // those that another listener doesn't have already
	for _, host := range e.hosts.list {
		if other := set.byHost[host]; other == nil {
			hosts = append(hosts, host)
		} else if !other.opts.issuesAs(&o) {
			return nil, fmt.Errorf("host %s: another listener has its certificate by other settings of ACME", host)
		}
	}
	var s *acmeSource
	if old != nil {
		for _, before := range old.entries {
			if kept, ok := before.source.(*acmeSource); ok && before.sameCertificate(e) && slices.Equal(kept.hosts, hosts) {
				s = kept
			}
		}
	}
	if s == nil {
		if s, err = m.newACMESource(o, e.hosts, hosts, template, log); err != nil {
			return nil, err
		}
	}
	if s.demand != nil {
		set.demand = append(set.demand, s)
	}
	for _, host := range hosts {
		set.byHost[host] = s
	}
	return s, nil
}

func (m *Manager) newACMESource(o ACME, names *hosts, hosts []string, template certmagic.ACMEIssuer, log *zap.Logger) (*acmeSource, error) {
	m.mu.Lock()
	if m.acme == nil {
		m.acme = newACMEManager(m.sharedStorage(), m.renewCheck, m.log)
	}
	a := m.acme
	m.mu.Unlock()
	s := &acmeSource{opts: o, names: names, hosts: hosts, storage: m.storage, cache: a.cache, log: log.With(zap.String("ca", o.CA)), firstRetry: m.firstRetry}

	config := certmagic.Config{
		Issuers: []certmagic.Issuer{}, // not its default one
		Storage: a.storage,
		OnEvent: s.event,
		// Events of handshakes aren't used.
		ShouldEmitFunc: func(event string) bool { return event != "tls_get_certificate" },
		Logger:         a.log.WithOptions(zap.WrapCore(lowered(notLoggedByUs))),
	}
	s.manage = certmagic.New(a.cache, config)
	template.Logger = config.Logger
	s.issuer = certmagic.NewACMEIssuer(s.manage, template)
	s.manage.Issuers = []certmagic.Issuer{issuer{s.issuer}}

	config.Issuers = s.manage.Issuers
	config.Logger = a.log.WithOptions(zap.WrapCore(lowered(nothing)))
	s.serve = certmagic.New(a.cache, config)
	if o.OnDemand != nil {
		var err error
		if s.demand, err = newDemand(s, o.OnDemand); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *acmeSource) prepare() error { return makeStorage(s.storage) }

// begin returns the context of obtaining certificates, until stop.
func (s *acmeSource) begin(parent context.Context) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil {
		s.ctx, s.stop = context.WithCancel(parent)
	}
	return s.ctx
}

// context returns the context of obtaining certificates, nil before it begins.
func (s *acmeSource) context() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ctx
}

// obtain loads the certificate of a host from the storage, or gets it from the CA.
// From then on certmagic renews it.
func (s *acmeSource) obtain(ctx context.Context, host string) {
	// certmagic's own retries end after some errors, and after 30 days. With the
	// number of attempts in the context, it tries the test CA of Let's Encrypt first
	// from the second attempt on.
	attempts := 0
	ctx = context.WithValue(ctx, certmagic.AttemptsCtxKey, &attempts)
	for delay := s.firstRetry; ; {
		asks := new(atomic.Bool)
		attempt, cancel := context.WithTimeout(context.WithValue(ctx, asksKey{}, asks), obtainTimeout)
		err := s.manage.ManageSync(attempt, []string{host})
		cancel()
		if err == nil {
			s.faults.set(host, nil)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		s.failed(host, err, time.Now().Add(delay), zap.Duration("retry_in", delay))
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return
		}
		if asks.Load() { // else the storage failed, which costs the CA nothing
			attempts++
			delay = min(2*delay, maxRetry)
		}
	}
}

// asksKey is the key of an *atomic.Bool in a context, which is set once the CA is asked.
type asksKey struct{}

// event logs an event of certmagic.
func (s *acmeSource) event(ctx context.Context, event string, data map[string]any) error {
	host, _ := data["identifier"].(string)
	renewal, _ := data["renewal"].(bool)
	switch event {
	case "cert_obtaining":
		if s.demand != nil && !s.names.set[host] {
			if err := s.demand.before(ctx, host, renewal); err != nil {
				return err
			}
		}
		if asks, ok := ctx.Value(asksKey{}).(*atomic.Bool); ok {
			asks.Store(true)
		}
		s.log.Info("obtaining a certificate", zap.String("host", host), zap.Bool("renewal", renewal))
	case "cert_obtained":
		s.faults.set(host, nil)
		s.log.Info("certificate obtained", zap.String("host", host), zap.Bool("renewal", renewal))
	case "cert_failed":
		if ctx.Value(certmagic.AttemptsCtxKey) == nil { // else obtain logs it
			err, _ := data["error"].(error)
			s.failed(host, err, time.Time{}, zap.Any("remaining", data["remaining"]))
		}
	case "cert_ocsp_revoked":
		s.log.Error("a certificate was revoked by the CA; it is replaced", zap.Any("hosts", data["subjects"]))
	}
	return nil
}

// failed notes and logs that there is no certificate. next is when it is tried again, if
// that is known.
func (s *acmeSource) failed(host string, err error, next time.Time, fields ...zap.Field) {
	var problem acme.Problem
	var request *url.Error
	switch { // what wraps them repeats the host
	case errors.As(err, &problem):
		err = problem
	case errors.As(err, &request):
		err = request
	}
	s.faults.setNext(host, err, next)
	s.log.With(fields...).Error("no certificate could be obtained", zap.String("host", host), zap.Error(err), zap.String("check", advice(host, err, s.opts.DNS != nil)))
}

// certificate returns the certificate of a host, or the one of a challenge (RFC
// 8737, section 3).
func (s *acmeSource) certificate(name string, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if hello.ServerName == "" {
		named := *hello
		named.ServerName = name
		hello = &named
	}
	challenge := len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acmeProtocol
	if s.demand != nil && !challenge && !s.names.has(name) {
		return s.demand.certificate(name, hello)
	}
	return s.serve.GetCertificate(hello)
}

func (s *acmeSource) refresh() {} // certmagic does
