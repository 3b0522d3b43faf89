package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"golang.org/x/time/rate"

	"mkd/share"
)

// OnDemand allows certificates for names that aren't in Hosts. mkd obtains one when a
// client first asks for such a name, if Ask allows it.
type OnDemand struct {
	// Ask is a URL that is asked by GET with the query domain=NAME. The status 200
	// allows the name, and any other refuses it.
	Ask string

	// PerHour is how many certificates the CA is asked for in an hour; renewals don't
	// count. Default: 60.
	PerHour int
}

// DefaultPerHour is for an OnDemand whose PerHour is 0.
const DefaultPerHour = 60

// Bounds of certificates on demand.
const (
	askTimeout   = 5 * time.Second
	maxAsking    = 16 // requests to Ask at once, of which each client has its share; a name more is refused for now
	maxObtaining = 8  // orders at once, likewise
	maxDemanded  = 10_000
	refusedFor   = 5 * time.Minute // how long a refusal, or a failure, is remembered
)

// demand obtains certificates of an acmeSource on demand.
type demand struct {
	source            *acmeSource
	ask               *url.URL
	client            *http.Client
	asking, obtaining *share.Pool
	limit             *rate.Limiter

	mu     sync.Mutex
	names  map[string]*demanded
	closed bool
	tasks  sync.WaitGroup
}

// demanded is a name that a client has asked for.
type demanded struct {
	done    chan struct{} // closed once it is decided
	allowed bool          // by Ask
	err     error         // why there is no certificate
	until   time.Time     // of err: when the name is tried again
}

var (
	errBusy  = errors.New("too many names are being decided on")
	errNames = fmt.Errorf("there are %d certificates on demand already", maxDemanded)
	errLimit = errors.New("the limit of certificates on demand in an hour is reached")
)

func newDemand(s *acmeSource, o *OnDemand) (*demand, error) {
	u, err := url.Parse(o.Ask)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("on_demand.ask: %q isn't a URL", o.Ask)
	}
	n := o.PerHour
	if n == 0 {
		n = DefaultPerHour
	}
	return &demand{
		source: s, ask: u, names: make(map[string]*demanded),
		asking: share.NewPool(maxAsking, 0), obtaining: share.NewPool(maxObtaining, 0),
		limit: rate.NewLimiter(rate.Limit(float64(n)/time.Hour.Seconds()), n),
		client: &http.Client{
			Timeout:       askTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// certificate returns the certificate of a name. It waits until there is one, or until
// the handshake's time is over; then the next client finds it.
func (d *demand) certificate(name string, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if !isDomain(name) || !strings.Contains(name, ".") || isAddress(name) {
		return nil, nil
	}
	n, err := d.want(name, clientOf(hello))
	if err != nil {
		return nil, err
	}
	select {
	case <-n.done:
	case <-hello.Context().Done():
		return nil, hello.Context().Err()
	}
	if n.err != nil {
		return nil, nil // the alert unrecognized_name
	}
	return d.source.serve.GetCertificate(hello)
}

// clientOf returns the address of a client, the zero value if it isn't known.
func clientOf(hello *tls.ClientHelloInfo) netip.Addr {
	if hello.Conn == nil {
		return netip.Addr{}
	}
	addr, _ := netip.ParseAddrPort(hello.Conn.RemoteAddr().String())
	return addr.Addr()
}

// want returns the state of a name, and begins to obtain its certificate if it is new. It
// counts for the client then.
func (d *demand) want(name string, client netip.Addr) (*demanded, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.names[name]
	if n != nil && !n.expired() {
		return n, nil
	}
	ctx := d.source.context()
	if d.closed || ctx == nil || ctx.Err() != nil {
		return nil, errors.New("certificates aren't obtained")
	}
	if n == nil && len(d.names) >= maxDemanded && !d.evict() {
		return nil, errNames
	}
	n = &demanded{done: make(chan struct{})}
	d.names[name] = n
	d.tasks.Go(func() {
		err := d.obtain(ctx, name, n, client)
		d.mu.Lock()
		defer d.mu.Unlock()
		n.err, n.until = err, time.Now().Add(refusedFor)
		if errors.Is(err, errBusy) {
			n.until = time.Now()
		}
		close(n.done)
	})
	return n, nil
}

// decided reports whether it is known if there is a certificate.
func (n *demanded) decided() bool {
	select {
	case <-n.done:
		return true
	default:
		return false
	}
}

// expired reports whether a name that was refused can be tried again.
func (n *demanded) expired() bool { return n.decided() && n.err != nil && !time.Now().Before(n.until) }

// evict forgets a name that was refused: an expired one, if that is among the first that
// it meets. It reports false if there is none. The caller holds the mutex.
func (d *demand) evict() bool {
	victim, looked := "", 0
	for name, n := range d.names {
		if !n.decided() || n.err == nil {
			continue
		}
		victim = name
		if looked++; n.expired() || looked == 16 {
			break
		}
	}
	delete(d.names, victim)
	return victim != ""
}

// obtain has a name allowed, and its certificate loaded or issued.
func (d *demand) obtain(ctx context.Context, name string, n *demanded, client netip.Addr) error {
	if err := d.allowed(ctx, name, client); err != nil {
		if !errors.Is(err, errBusy) { // or one client would make as many lines as handshakes
			d.source.log.Sugar().Infow("a certificate on demand is refused", "host", name, "error", err)
		}
		return err
	}
	d.mu.Lock()
	n.allowed = true
	d.mu.Unlock()
	release, ok := d.obtaining.TakeFor(client, 1)
	if !ok {
		return errBusy
	}
	defer release()
	attempts := 0
	ctx = context.WithValue(ctx, certmagic.AttemptsCtxKey, &attempts)
	ctx, cancel := context.WithTimeout(ctx, obtainTimeout)
	defer cancel()
	err := d.source.manage.ManageSync(ctx, []string{name})
	switch {
	case errors.Is(err, errLimit):
		d.source.log.Sugar().Warnw("no certificate is obtained on demand: the limit of an hour is reached", "host", name)
	case err != nil && ctx.Err() == nil:
		d.source.failed(name, err, time.Now().Add(refusedFor))
	}
	return err
}

// allowed asks for a client whether a name may have a certificate.
func (d *demand) allowed(ctx context.Context, name string, client netip.Addr) error {
	release, ok := d.asking.TakeFor(client, 1)
	if !ok {
		return errBusy
	}
	defer release()
	u := *d.ask
	q := u.Query()
	q.Set("domain", name)
	u.RawQuery = q.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	resp, err := d.client.Do(r)
	if err != nil {
		if failed := (*url.Error)(nil); errors.As(err, &failed) {
			err = failed.Err // without the URL, whose query may have a secret
		}
		return fmt.Errorf("asking %s: %w", d.ask.Host, err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s responded %s", d.ask.Host, resp.Status)
	}
	return nil
}

// before decides whether the CA may be asked now. A renewal is asked for anew, so that
// names that aren't allowed any more lose their certificates.
func (d *demand) before(ctx context.Context, name string, renewal bool) error {
	if renewal {
		return d.allowed(ctx, name, netip.Addr{})
	}
	if !d.limit.Allow() {
		return errLimit
	}
	return nil
}

// knows reports whether a name has been asked for, and wasn't refused.
func (d *demand) knows(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.names[name]
	return n != nil && (!n.decided() || n.err == nil)
}

// list returns the names that have a certificate, or should have one soon. Names that
// weren't allowed yet aren't among them: they are what clients send, and those that are
// listed become labels of metrics.
func (d *demand) list() (all []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, n := range d.names {
		if n.allowed && (!n.decided() || n.err == nil) || d.source.faults.get(name).text != "" {
			all = append(all, name)
		}
	}
	return all
}

// close ends what is being obtained, after the context of the source has ended.
func (d *demand) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.tasks.Wait()
}
