package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// maxFile bounds the files that are read, in bytes.
const maxFile = 1 << 20

// KeyPair is a certificate and its private key on disk, both PEM. The file of
// the certificate has its intermediates as well.
type KeyPair struct {
	Cert, Key string
}

// files is a source of certificates on disk.
type files struct {
	pairs  []*pair
	hosts  *hosts
	log    *zap.Logger
	faults faults

	// clash returns why these files can't be with the other certificates of the listener
	// after a change; nil: they can.
	clash func(changed *files) error
}

// pair is one of them. It compares the whole contents of the files, which detects
// each way to replace a file (overwriting, renaming, a symlink) and costs little.
type pair struct {
	KeyPair
	cert   atomic.Pointer[tls.Certificate]
	seen   [sha256.Size]byte // the hash of the files' contents
	wrong  error             // what is wrong with it; nil: nothing
	logged bool              // whether wrong is
	ended  bool              // whether it is logged that cert has expired
}

func newFiles(pairs []KeyPair, h *hosts, log *zap.Logger) (*files, error) {
	f := &files{hosts: h, log: log}
	for _, kp := range pairs {
		p := &pair{KeyPair: kp}
		cert, err := p.load()
		if err != nil {
			return nil, err
		}
		p.cert.Store(cert)
		f.pairs = append(f.pairs, p)
		f.warnExpiry(p)
	}
	for _, host := range h.list {
		if f.find(host, nil) == nil {
			log.Warn("no certificate is for this host; clients won't accept the one they get", zap.String("host", host))
		}
	}
	return f, nil
}

func (f *files) prepare() error { return nil }

// load reads the pair if it has changed. If it hasn't, load returns nil.
func (p *pair) load() (*tls.Certificate, error) {
	certPEM, err := readFile("certificate", p.Cert)
	var keyPEM []byte
	if err == nil {
		keyPEM, err = readFile("key", p.Key)
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %q %v", certPEM, keyPEM, err)
	if seen := [sha256.Size]byte(sum.Sum(nil)); seen != p.seen {
		p.seen = seen
	} else {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, p.explain(err, certPEM, keyPEM)
	}
	return &cert, nil
}

// explain returns a plainer error for a certificate and a key that package tls
// rejected together. It distinguishes its errors by their texts alone.
func (p *pair) explain(err error, certPEM, keyPEM []byte) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "private key does not match"), strings.Contains(text, "private key type does not match"):
		return fmt.Errorf("the key %s doesn't belong to the certificate %s; give the key that was made together with it", p.Key, p.Cert)
	case !hasPEM(certPEM, "CERTIFICATE"):
		return fmt.Errorf("there is no certificate in PEM in %s", p.Cert)
	case !hasPEM(keyPEM, "PRIVATE KEY"):
		return fmt.Errorf("there is no private key in PEM in %s", p.Key)
	}
	return fmt.Errorf("certificate %s with key %s: %w", p.Cert, p.Key, err)
}

// hasPEM reports whether there is a block whose type ends so.
func hasPEM(data []byte, kind string) bool {
	for {
		block, rest := pem.Decode(data)
		switch {
		case block == nil:
			return false
		case strings.HasSuffix(block.Type, kind):
			return true
		}
		data = rest
	}
}

// readFile reads a file, unless it is too large to be a certificate or key. Its
// errors begin with what the file is for.
func readFile(what, path string) ([]byte, error) {
	info, err := os.Stat(path)
	var data []byte
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxFile) {
		return nil, fmt.Errorf("%s %s: not a file of %d bytes at most", what, path, maxFile)
	}
	if err == nil {
		data, err = os.ReadFile(path)
	}
	var cause *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s %s: file not found", what, path)
	case errors.As(err, &cause):
		return nil, fmt.Errorf("%s %s: %w", what, path, cause.Err)
	}
	return data, err
}

// refresh loads what has changed on disk. It logs a fault only if the next check
// finds it again, because the two files are seldom written at once.
func (f *files) refresh() {
	for _, p := range f.pairs {
		cert, err := p.load()
		if cert != nil {
			if err = f.clashes(p, cert); err != nil {
				p.seen = [sha256.Size]byte{} // it is tried again: the other certificate may change too
			}
		}
		switch {
		case err != nil && (p.wrong == nil || p.wrong.Error() != err.Error()):
			p.wrong, p.logged = err, false
		case err == nil && cert != nil:
			p.wrong = nil
			p.cert.Store(cert)
			f.faults.set(p.Cert, nil)
			f.log.Info("a certificate has changed on disk; the new one is served",
				zap.String("cert", p.Cert), zap.Time("not_after", cert.Leaf.NotAfter))
			p.ended = false
		case p.wrong != nil && !p.logged:
			f.log.Error("a certificate has changed on disk, but can't be used; the old one is still served",
				zap.String("cert", p.Cert), zap.Error(p.wrong))
			f.faults.set(p.Cert, p.wrong)
			p.logged = true
		}
		f.warnExpiry(p)
	}
}

// clashes is clash for a pair that gets another certificate.
func (f *files) clashes(p *pair, cert *tls.Certificate) error {
	changed := &files{hosts: f.hosts}
	for _, other := range f.pairs {
		next := &pair{KeyPair: other.KeyPair}
		next.cert.Store(other.cert.Load())
		if other == p {
			next.cert.Store(cert)
		}
		changed.pairs = append(changed.pairs, next)
	}
	return f.clash(changed)
}

// warnExpiry logs once that a certificate has expired.
func (f *files) warnExpiry(p *pair) {
	if leaf := p.cert.Load().Leaf; !p.ended && time.Now().After(leaf.NotAfter) {
		p.ended = true
		f.log.Warn("a certificate has expired; clients won't accept it", zap.String("cert", p.Cert), zap.Time("not_after", leaf.NotAfter))
	}
}

// find returns the certificate for a name: the first that the client supports,
// else the first.
func (f *files) find(name string, hello *tls.ClientHelloInfo) *tls.Certificate {
	var first *tls.Certificate
	for _, p := range f.pairs {
		cert := p.cert.Load()
		if !isFor(cert, name) {
			continue
		}
		if hello == nil || hello.SupportsCertificate(cert) == nil {
			return cert
		}
		if first == nil {
			first = cert
		}
	}
	return first
}

// isFor reports whether a certificate is for a name, which can be a wildcard.
func isFor(cert *tls.Certificate, name string) bool {
	for _, n := range cert.Leaf.DNSNames {
		if n == name {
			return true
		}
	}
	return cert.Leaf.VerifyHostname(name) == nil
}

func (f *files) certificate(name string, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cert := f.find(name, hello); cert != nil {
		return cert, nil
	}
	if name == "" || len(f.hosts.list) > 0 {
		// The client's error about a wrong certificate helps more than an alert.
		return f.pairs[0].cert.Load(), nil
	}
	return nil, nil
}
