package certs

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// stopTimeout is for renewals in flight when the daemon stops.
const stopTimeout = 5 * time.Second

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
