package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"os"
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
	pairs []*pair
	hosts *hosts
	log   *zap.Logger
}

// pair is one of them. What the files have is compared as a whole: however a
// file is replaced, overwritten, renamed into place or behind a symlink, that
// tells it, and it costs little.
type pair struct {
	KeyPair
	cert  atomic.Pointer[tls.Certificate]
	seen  [sha256.Size]byte // what the files had
	wrong error             // what is wrong with that; nil: nothing, or it's told
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

// load reads the pair, as far as it has changed: without a change, and without
// an error, it returns nil.
func (p *pair) load() (*tls.Certificate, error) {
	certPEM, err := readFile(p.Cert)
	var keyPEM []byte
	if err == nil {
		keyPEM, err = readFile(p.Key)
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
		return nil, fmt.Errorf("certificate %s with key %s: %w", p.Cert, p.Key, err)
	}
	return &cert, nil
}

// readFile reads a file, unless it is so large that it can't be what is meant.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("%s is no file of %d bytes at most", path, maxFile)
	}
	return os.ReadFile(path)
}

// refresh takes what has changed on disk. What is wrong there is told when it's
// still so at the next look, because the two files are seldom written at once.
func (f *files) refresh() {
	for _, p := range f.pairs {
		cert, err := p.load()
		switch {
		case err != nil:
			p.wrong = err
		case cert != nil:
			p.wrong = nil
			p.cert.Store(cert)
			f.log.Info("a certificate has changed on disk; the new one is served",
				zap.String("cert", p.Cert), zap.Time("not_after", cert.Leaf.NotAfter))
			f.warnExpiry(p)
		case p.wrong != nil:
			f.log.Error("a certificate has changed on disk, but is broken; the old one is still served",
				zap.String("cert", p.Cert), zap.Error(p.wrong))
			p.wrong = nil
		}
	}
}

func (f *files) warnExpiry(p *pair) {
	if leaf := p.cert.Load().Leaf; time.Now().After(leaf.NotAfter) {
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
		// To have the client say what is wrong with the certificate is more
		// help than to give it none.
		return f.pairs[0].cert.Load(), nil
	}
	return nil, nil
}
