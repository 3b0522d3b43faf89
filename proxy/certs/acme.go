package certs

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
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
	stopTimeout   = 5 * time.Second // for renewals in flight when the daemon stops
)

// DefaultCA is the directory of the CA if ACME.CA is empty: Let's Encrypt.
const DefaultCA = certmagic.LetsEncryptProductionCA

// ACME configures a certificate authority that issues certificates by ACME.
type ACME struct {
	// Email is an address for the CA's messages. It may be left out.
	Email string

	// AgreeTerms confirms that you agree to the terms of the CA. It must be true.
	AgreeTerms bool

	// CA is the URL of the CA's directory. Default: DefaultCA.
	CA string

	// CARoot is a PEM file of the root certificates of the CA's own HTTPS. Default:
	// those of the system.
	CARoot string

	// TLSAddress is where the listener listens, as HOST:PORT. The CA comes to
	// port 443 of the hosts, which has to lead there, for tls-alpn-01.
	TLSAddress string

	// HTTPAddress is the same of a listener without TLS that has
	// HTTPChallengeHandler. The CA comes to port 80, for http-01. Default: there
	// is none, and http-01 isn't used.
	HTTPAddress string

	// DNS has the CA look for a record in the DNS instead of coming to the listeners.
	// Wildcards need it. Default: the CA comes to the listeners.
	DNS *DNS

	// OnDemand has certificates obtained for names besides Hosts. Default: it isn't
	// done. One of the certificates of a listener may have it.
	OnDemand *OnDemand

	disableTLSALPN bool // for tests of http-01
}

// acmeManager is the part of a Manager that all listeners with ACME share.
type acmeManager struct {
	log     *zap.Logger
	storage certmagic.Storage
	cache   *certmagic.Cache
	stop    sync.Once // for what can't be stopped twice

	mu     sync.RWMutex
	byHost map[string]*acmeSource
	demand []*acmeSource // with certificates on demand
}

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

// issuer keeps certmagic from looking for an email address elsewhere if Email is
// empty: on a terminal, or in other listeners' accounts.
type issuer struct{ *certmagic.ACMEIssuer }

func (i issuer) PreCheck(ctx context.Context, names []string, _ bool) error {
	if i.Email == "" {
		return nil
	}
	return i.ACMEIssuer.PreCheck(ctx, names, false)
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

// issuesAs reports whether certificates are issued in the same way.
func (o *ACME) issuesAs(other *ACME) bool {
	return o.Email == other.Email && o.CA == other.CA && o.CARoot == other.CARoot && reflect.DeepEqual(o.DNS, other.DNS)
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

func (s *acmeSource) prepare() error { return makeStorage(s.storage) }

// template checks the settings for these hosts, and makes certmagic's of them.
func (o *ACME) template(hosts []string) (certmagic.ACMEIssuer, error) {
	t := certmagic.ACMEIssuer{CA: o.CA, Email: o.Email, Agreed: true, DisableTLSALPNChallenge: o.disableTLSALPN}
	u, err := url.Parse(o.CA)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return t, fmt.Errorf("ca %q isn't the URL of a directory, https://HOST/PATH", o.CA)
	}
	if !o.AgreeTerms {
		return t, fmt.Errorf("the CA at %s issues certificates to those who agree to its terms: read them, then set agree_terms: true", u.Host)
	}
	for _, host := range hosts {
		switch {
		case strings.HasPrefix(host, "*.") && o.DNS == nil:
			return t, fmt.Errorf("host %s: a CA issues wildcards by dns-01 only; give acme a dns block, list each name, or use a certificate from a file", host)
		case isAddress(host):
			return t, fmt.Errorf("host %s: certificates by ACME are for names, not for addresses", host)
		case o.CA == certmagic.LetsEncryptProductionCA && !certmagic.SubjectQualifiesForPublicCert(host):
			return t, fmt.Errorf("host %s: Let's Encrypt issues no certificates for it, only for names in the public DNS", host)
		}
	}
	if o.CARoot != "" {
		pem, err := readFile("ca_root", o.CARoot)
		if err != nil {
			return t, err
		}
		t.TrustedRoots = x509.NewCertPool()
		if !t.TrustedRoots.AppendCertsFromPEM(pem) {
			return t, fmt.Errorf("ca_root: %s has no certificates in PEM", o.CARoot)
		}
	}

	if o.DNS != nil {
		t.DNS01Solver, err = o.DNS.solver()
		return t, err
	}

	// certmagic opens sockets for challenges, unless there already are some at its
	// address: ours, which then respond.
	var tlsHost, httpHost string
	if tlsHost, t.AltTLSALPNPort, err = splitAddress(o.TLSAddress); err != nil {
		return t, err
	}
	t.ListenHost = tlsHost
	if o.HTTPAddress == "" {
		t.DisableHTTPChallenge = true
		return t, nil
	}
	if httpHost, t.AltHTTPPort, err = splitAddress(o.HTTPAddress); err != nil {
		return t, err
	}
	if httpHost != tlsHost {
		t.ListenHost = "" // it knows one; all addresses are in use as well if one is
	}
	return t, nil
}

func splitAddress(address string) (host string, port int, err error) {
	host, service, err := net.SplitHostPort(address)
	if err == nil {
		port, err = net.LookupPort("tcp", service)
	}
	if err == nil && port == 0 {
		err = errors.New("ACME needs a fixed port")
	}
	if err != nil {
		return "", 0, fmt.Errorf("the address %q of a listener for ACME: %w", address, err)
	}
	return host, port, nil
}

func newACMEManager(storage certmagic.Storage, renewCheck time.Duration, log *zap.Logger) *acmeManager {
	a := &acmeManager{
		log:     log.Named("acme"),
		storage: storage,
		byHost:  make(map[string]*acmeSource),
	}
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(cert certmagic.Certificate) (*certmagic.Config, error) {
			for _, name := range cert.Names {
				if s := a.source(name); s != nil {
					return s.manage, nil
				}
			}
			return nil, fmt.Errorf("no listener has a certificate for %q", cert.Names)
		},
		RenewCheckInterval: renewCheck,
		Logger:             a.log.WithOptions(zap.WrapCore(lowered(notLoggedByUs))),
	})
	return a
}

func (a *acmeManager) source(host string) *acmeSource {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if s := a.byHost[host]; s != nil {
		return s
	}
	for _, s := range a.demand {
		if s.demand.knows(host) {
			return s
		}
	}
	return nil
}

// use puts other sources in the place of those that are in use.
func (a *acmeManager) use(set *Set) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.byHost, a.demand = set.byHost, set.demand
}

// forget stops renewing the certificate of a host.
func (a *acmeManager) forget(host string) {
	a.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: host}})
}

// close stops renewing. It doesn't wait for a CA that doesn't respond.
func (a *acmeManager) close() {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		a.stop.Do(a.cache.Stop)
	}()
	select {
	case <-stopped:
	case <-time.After(stopTimeout):
	}
}

// obtain loads the certificate of a host from the storage, or has the CA issue it.
// From then on certmagic renews it.
func (s *acmeSource) obtain(ctx context.Context, host string) {
	// certmagic's own retries end after some errors, and after 30 days. With the
	// number of attempts in the context, it tries the test CA of Let's Encrypt first
	// from the second attempt on.
	attempts := 0
	ctx = context.WithValue(ctx, certmagic.AttemptsCtxKey, &attempts)
	for delay := s.firstRetry; ; delay = min(2*delay, maxRetry) {
		attempt, cancel := context.WithTimeout(ctx, obtainTimeout)
		err := s.manage.ManageSync(attempt, []string{host})
		cancel()
		if err == nil {
			s.faults.set(host, nil)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		s.failed(host, err, time.Now().Add(delay), zap.Duration("retry_in", delay))
		attempts++
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return
		}
	}
}

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

// HTTPChallengeHandler serves the challenges of http-01 (RFC 8555, section 8.3) for
// the hosts of all listeners, and passes all other requests to next.
func (m *Manager) HTTPChallengeHandler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.RLock()
		a := m.acme
		m.mu.RUnlock()
		if a != nil && certmagic.LooksLikeHTTPChallenge(r) {
			host, _, err := net.SplitHostPort(r.Host)
			if err != nil {
				host = r.Host
			}
			if s := a.source(strings.ToLower(host)); s != nil && s.issuer.HandleHTTPChallenge(w, r) {
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
