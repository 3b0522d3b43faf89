// Package testca is a certificate authority for tests.
package testca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA is an authority.
type CA struct {
	File string         // its certificate, PEM
	Pool *x509.CertPool // its certificate

	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

// New makes an authority of a name, whose certificate expires after life.
func New(t testing.TB, name string, life time.Duration) *CA {
	t.Helper()
	c := &CA{t: t, dir: t.TempDir(), Pool: x509.NewCertPool()}
	c.key = c.ecdsa()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(life),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, c.key.Public(), c.key)
	if err == nil {
		c.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.Pool.AddCert(c.cert)
	c.File = c.write("ca.crt", "CERTIFICATE", der)
	return c
}

// Pair is a certificate with its key, and their files.
type Pair struct {
	tls.Certificate
	Cert, Key string
}

// Server issues a certificate for names with an ECDSA key. serial identifies it.
func (c *CA) Server(serial int64, names ...string) Pair {
	c.t.Helper()
	return c.issue(&x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, c.ecdsa())
}

// ServerRSA is Server with an RSA key.
func (c *CA) ServerRSA(serial int64, names ...string) Pair {
	c.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.issue(&x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, key)
}

// Client issues a certificate for a client.
func (c *CA) Client(serial int64, subject pkix.Name) Pair {
	c.t.Helper()
	return c.issue(&x509.Certificate{SerialNumber: big.NewInt(serial), Subject: subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, c.ecdsa())
}

func (c *CA) issue(template *x509.Certificate, key crypto.Signer) Pair {
	c.t.Helper()
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, key.Public(), c.key)
	if err != nil {
		c.t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		c.t.Fatal(err)
	}
	name := template.SerialNumber.String()
	p := Pair{Cert: c.write(name+".crt", "CERTIFICATE", der), Key: c.write(name+".key", "PRIVATE KEY", pkcs8)}
	if p.Certificate, err = tls.LoadX509KeyPair(p.Cert, p.Key); err != nil {
		c.t.Fatal(err)
	}
	return p
}

func (c *CA) ecdsa() crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	return key
}

func (c *CA) write(name, kind string, der []byte) string {
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}
