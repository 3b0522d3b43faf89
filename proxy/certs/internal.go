package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// The life of internal certificates. Browsers don't accept longer ones.
const (
	internalLife   = 397 * 24 * time.Hour
	internalRenew  = 30 * 24 * time.Hour // before the end
	internalBefore = time.Hour           // for clocks that are late
	internalEarly  = time.Hour           // that a certificate which isn't valid yet is served
)

// internal is a source of one self-signed certificate. It isn't a certificate
// authority, so that with its key nobody can make certificates for other names that
// its clients would trust.
type internal struct {
	certFile, keyFile string
	hosts             []string
	log               *zap.Logger
	cert              atomic.Pointer[tls.Certificate]
	failing           bool      // the last renewal failed, which is logged
	early             time.Time // since when the certificate isn't valid yet; zero: it is
	faults            faults
}

func newInternal(storage, listener string, h *hosts, log *zap.Logger) (*internal, error) {
	if !filepath.IsLocal(listener) || filepath.Base(listener) != listener {
		return nil, fmt.Errorf("a listener of the name %q can't have a file", listener)
	}
	dir := filepath.Join(storage, "internal")
	s := &internal{
		certFile: filepath.Join(dir, listener+".crt"),
		keyFile:  filepath.Join(dir, listener+".key"),
		log:      log,
	}
	for _, host := range append(h.list[:len(h.list):len(h.list)], "localhost", "127.0.0.1", "::1") {
		if len(s.hosts) == len(h.list) && h.set[host] {
			continue
		}
		s.hosts = append(s.hosts, host)
	}
	return s, nil
}

// prepare loads the certificate from disk, or makes one.
func (s *internal) prepare() error {
	cert, err := tls.LoadX509KeyPair(s.certFile, s.keyFile)
	if err == nil {
		err = s.check(&cert)
	}
	if err == nil {
		s.cert.Store(&cert)
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		s.log.Info("the internal certificate is replaced", zap.Error(err))
	}
	if err := makeStorage(filepath.Dir(s.certFile)); err != nil {
		return err
	}
	return s.make()
}

// check returns why a certificate can't be used, or not for long.
func (s *internal) check(cert *tls.Certificate) error {
	if time.Now().After(cert.Leaf.NotAfter.Add(-internalRenew)) {
		return fmt.Errorf("it ends on %s", cert.Leaf.NotAfter.Format(time.DateOnly))
	}
	for _, host := range s.hosts {
		if !isFor(cert, host) {
			return fmt.Errorf("it isn't for %s", host)
		}
	}
	return nil
}

// make makes a key and a certificate, keeps them on disk, and serves them.
func (s *internal) make() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"self-signed by mkd"}, CommonName: s.hosts[0]},
		NotBefore:             now.Add(-internalBefore),
		NotAfter:              now.Add(internalLife - internalBefore),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, host := range s.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return err
	}
	// Should only the first of them be written, they are made anew at the next
	// start.
	err = replaceFile(s.keyFile, keyPEM, 0o600)
	if err == nil {
		err = replaceFile(s.certFile, certPEM, 0o644)
	}
	if err != nil {
		return fmt.Errorf("keeping the internal certificate: %w", err)
	}
	s.cert.Store(&cert)
	s.log.Info("a self-signed certificate was made; configure clients to trust it",
		zap.String("cert", s.certFile), zap.Strings("hosts", s.hosts), zap.Time("not_after", template.NotAfter))
	return nil
}

// refresh makes a new certificate in good time before the end of the old one.
func (s *internal) refresh() {
	if s.check(s.cert.Load()) == nil && !s.isEarly(time.Now()) {
		return
	}
	err := s.make()
	s.faults.set(s.certFile, err)
	if err != nil && !s.failing {
		s.log.Error("the internal certificate can't be renewed; the old one is still served",
			zap.Time("not_after", s.cert.Load().Leaf.NotAfter), zap.Error(err))
	}
	s.failing = err != nil
}

// isEarly reports whether the certificate was made while the clock was ahead, so that no
// client accepts it yet. Right after the start it may be the clock that is late.
func (s *internal) isEarly(now time.Time) bool {
	switch begins := s.cert.Load().Leaf.NotBefore; {
	case !now.Before(begins):
		s.early = time.Time{}
	case s.early.IsZero():
		s.early = now
	}
	return !s.early.IsZero() && now.Sub(s.early) >= internalEarly
}

func (s *internal) certificate(string, *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return s.cert.Load(), nil
}

// replaceFile writes a file, of which readers see the old or the new content.
func replaceFile(path string, content []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
