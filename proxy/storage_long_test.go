//go:build long

package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mkd/internal/testserver/pebble"
	"mkd/internal/testserver/redisserver"
)

// sharedHost is who the certificate of these tests is for.
const sharedHost = "shared.example.org"

// fleet are nodes with one host and one storage, behind a balancer that takes the
// authority's challenges to each of them in turn.
type fleet struct {
	nodes     []*node
	addresses []string // of the listeners for HTTPS
	hold      atomic.Bool
	held      chan struct{} // a challenge is held
	turn      atomic.Int64
}

// balance passes the connections to a port on to the nodes in turn. While hold is set
// it accepts connections, and passes none on.
func (f *fleet) balance(t *testing.T, targets []string) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if f.hold.Load() {
					select {
					case f.held <- struct{}{}:
					default:
					}
					time.Sleep(time.Second)
					return
				}
				for range targets { // one may have been killed
					up, err := net.Dial("tcp", targets[int(f.turn.Add(1))%len(targets)])
					if err != nil {
						continue
					}
					defer up.Close()
					go io.Copy(up, c)
					io.Copy(c, up)
					return
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// reserve returns addresses that are free just now.
func reserve(t *testing.T, n int) (addresses []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses
}

func newFleet(t *testing.T, hold bool) (*fleet, *x509.CertPool) {
	t.Helper()
	f := &fleet{addresses: reserve(t, 3), held: make(chan struct{}, 1)}
	f.hold.Store(hold)
	plain := reserve(t, 3)
	ca := pebble.Start(t, f.balance(t, plain), f.balance(t, f.addresses), 24*time.Hour)
	store := redisserver.Start(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("s", 64)), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range f.addresses {
		cfg := load(t, fmt.Sprintf(`
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {https: {address: %q, hosts: [%s], tls: {acme: {agree_terms: true, ca: %q, ca_root: %q}}}}
  plain: {http: {address: %q}}
backends:
  site: {files: {root: DIR}}
routes:
  - respond: {status: 200, body: ok}
storage: {path: DIR/storage, redis: {addresses: [%q], secret_file: %q}}
`, f.addresses[i], sharedHost, ca.Directory, ca.RootFile, plain[i], store.Addr, secret))
		f.nodes = append(f.nodes, startNode(t, cfg))
	}
	return f, ca.Roots
}

// serial returns the serial number of the certificate that a node serves, "" if it has
// none.
func (f *fleet) serial(i int, roots *x509.CertPool) string {
	d := &net.Dialer{Timeout: 5 * time.Second}
	c, err := tls.DialWithDialer(d, "tcp", f.addresses[i], &tls.Config{ServerName: sharedHost, RootCAs: roots})
	if err != nil {
		return ""
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// logged returns how many nodes have logged a text.
func (f *fleet) logged(t *testing.T, text string) (who []int) {
	t.Helper()
	for i, n := range f.nodes {
		data, err := os.ReadFile(n.log)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), text) {
			who = append(who, i)
		}
	}
	return who
}

// awaitAll waits until all nodes but some serve one certificate.
func (f *fleet) awaitAll(t *testing.T, roots *x509.CertPool, but int) {
	t.Helper()
	one := ""
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		serials := map[string]bool{}
		for i := range f.nodes {
			if i != but {
				serials[f.serial(i, roots)] = true
			}
		}
		if len(serials) == 1 && !serials[""] {
			for one = range serials {
			}
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the nodes serve %v", serials)
		}
	}
	if one == "" {
		t.Error("no certificate")
	}
}

// Three nodes obtain one certificate with one order, whichever node the authority
// asks, and all serve it.
func TestLongSharedCertificates(t *testing.T) {
	f, roots := newFleet(t, false)
	f.awaitAll(t, roots, -1)
	if who := f.logged(t, `"msg":"certificate obtained"`); len(who) != 1 {
		t.Errorf("nodes %v obtained a certificate", who)
	}
}

// The node that obtains the certificate is killed in the middle of it: another one
// takes over when its lock has expired.
func TestLongSharedCertificatesWithoutTheIssuer(t *testing.T) {
	f, roots := newFleet(t, true)
	<-f.held // the authority asks, and gets no response
	who := f.logged(t, `"msg":"obtaining a certificate"`)
	if len(who) != 1 {
		t.Fatalf("nodes %v obtain a certificate at once", who)
	}
	f.nodes[who[0]].kill()
	f.hold.Store(false)
	f.awaitAll(t, roots, who[0])
	if again := f.logged(t, `"msg":"certificate obtained"`); len(again) != 1 || again[0] == who[0] {
		t.Errorf("nodes %v obtained a certificate; %v was killed", again, who)
	}
}
