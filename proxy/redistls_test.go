package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mkd/internal/testserver/redisserver"
)

// authority issues certificates for 127.0.0.1.
type authority struct {
	t    *testing.T
	dir  string
	file string // its own certificate
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.file, _ = a.issue("ca")
	return a
}

// issue returns the files of a certificate and its key. The first one is the
// authority's own.
func (a *authority) issue(name string) (cert, key string) {
	a.t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	issuer, signer := a.cert, a.key
	if issuer == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		issuer, signer = template, own
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &own.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	if a.cert == nil {
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			a.t.Fatal(err)
		}
		a.key = own
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, key = filepath.Join(a.dir, name+".crt"), filepath.Join(a.dir, name+".key")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return cert, key
}

// TestRedisOverTLS: sessions are in a server that asks for TLS, for a certificate and
// for a password, which a file has. A wrong one of these costs sessions, and nothing
// else.
func TestRedisOverTLS(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	serverCert, serverKey := ours.issue("server")
	clientCert, clientKey := ours.issue("client")
	strangeCert, strangeKey := others.issue("client")
	address := freeAddress(t)
	redisserver.Start(t, "tls-port "+portOf(address), "tls-cert-file "+serverCert, "tls-key-file "+serverKey, "tls-ca-cert-file "+ours.file,
		"tls-auth-clients yes", "user mkd on >of-redis ~* &* +@all")
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("of-redis\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, ca, cert, key, password string
		works                         bool
	}{
		{"right", ours.file, clientCert, clientKey, "{file: " + password + "}", true},
		{"another authority", others.file, clientCert, clientKey, "of-redis", false},
		{"a certificate of another authority", ours.file, strangeCert, strangeKey, "of-redis", false},
		{"another password", ours.file, clientCert, clientKey, "of-another", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := strings.NewReplacer("{redis: {", "{redis: {username: mkd, password: "+c.password+", tls: {ca: "+c.ca+", cert: "+c.cert+", key: "+c.key+"}, ").
				Replace(inRedis(address))
			cfg := sessionsIn(t, store, "a")
			d, _ := start(t, cfg)
			addr, client := d.Addr("app").String(), clientConfig(t)
			_, err := resume(t.Context(), addr, client, newSession(t, addr, client))
			if c.works && err != nil || !c.works && !errors.Is(err, errForgotten) {
				t.Errorf("resuming: %v", err)
			}
			if s := d.sessionStats(); (s.Guard.Failures == 0) != c.works {
				t.Errorf("%+v", s)
			}
		})
	}
}
