package certs

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// addInternal returns a Manager with one listener that has an internal
// certificate, and the pool of a client that trusts what is on disk.
func addInternal(t *testing.T, m *Manager, hosts ...string) *tls.Config {
	t.Helper()
	config, err := m.Add("web", one(Certificate{Hosts: hosts, Internal: true}))
	if err == nil {
		err = m.Prepare()
	}
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// trusted makes a handshake as a client that trusts the certificate on disk, and
// returns its serial number.
func trusted(t *testing.T, storage string, config *tls.Config, name string) string {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(storage, "internal", "web.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	state, err := shake(t, config, &tls.Config{ServerName: name, RootCAs: roots})
	if err != nil {
		t.Errorf("asking for %q: %v", name, err)
		return ""
	}
	return state.PeerCertificates[0].SerialNumber.String()
}

func TestInternal(t *testing.T) {
	storage := filepath.Join(t.TempDir(), "a", "b")
	logger, logs := observed()
	m := New(storage, logger)
	defer m.Close()
	config := addInternal(t, m, "Example.org", "*.example.org", "192.0.2.1", "localhost")
	serial := trusted(t, storage, config, "example.org")
	for _, name := range []string{"a.example.org", "localhost", "192.0.2.1", "127.0.0.1", "::1"} {
		if got := trusted(t, storage, config, name); got != serial {
			t.Errorf("%s: certificate %s, want %s", name, got, serial)
		}
	}
	if got := served(t, config, "example.com"); got != 0 {
		t.Errorf("another host is served")
	}
	if len(above(logs)) != 0 || logs.Len() != 1 {
		t.Errorf("logged: %v", logs.All())
	}
	for name, mode := range map[string]os.FileMode{"web.key": 0o600, "web.crt": 0o644} {
		info, err := os.Stat(filepath.Join(storage, "internal", name))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if entries, _ := os.ReadDir(filepath.Join(storage, "internal")); len(entries) != 2 {
		t.Errorf("files are left: %v", entries)
	}
	leaf := m.set.list[0].entries[0].source.(*internal).cert.Load().Leaf
	if leaf.IsCA || leaf.KeyUsage&x509.KeyUsageCertSign != 0 {
		t.Error("the certificate could sign others")
	}
}

func TestInternalOverRestarts(t *testing.T) {
	storage := t.TempDir()
	keyFile, certFile := filepath.Join(storage, "internal", "web.key"), filepath.Join(storage, "internal", "web.crt")
	start := func(hosts ...string) string {
		t.Helper()
		m := New(storage, nil)
		defer m.Close()
		return trusted(t, storage, addInternal(t, m, hosts...), hosts[0])
	}
	first := start("example.org", "example.com")
	if got := start("example.com"); got != first {
		t.Error("with fewer hosts, the certificate is another")
	}
	second := start("example.org", "example.net")
	if second == first {
		t.Error("with another host, the certificate is the same")
	}
	for what, spoil := range map[string]func(){
		"no key":         func() { os.Remove(keyFile) },
		"no certificate": func() { os.Remove(certFile) },
		"an empty file":  func() { write(t, certFile, nil) },
		"another's key":  func() { _, key := selfSigned(t, 1, time.Now(), "example.org"); write(t, keyFile, key) },
		"a near end": func() {
			writePair(t, filepath.Dir(certFile), "web", 1, time.Now().Add(29*24*time.Hour), "example.org", "localhost")
		},
		"others, no hosts": func() { writePair(t, filepath.Dir(certFile), "web", 1, time.Now().Add(99*24*time.Hour)) },
	} {
		before := start("example.org")
		spoil()
		after := start("example.org")
		if after == before || after == "" {
			t.Errorf("%s: certificate %s after %s", what, after, before)
		}
	}
	if _, err := New(storage, nil).Add("../web", one(Certificate{Hosts: []string{"example.org"}, Internal: true})); err == nil {
		t.Error("a listener's name leads out of the folder")
	}
}

func TestInternalRenewal(t *testing.T) {
	storage := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		logger, logs := observed()
		m := New(storage, logger)
		config := addInternal(t, m, "example.org")
		m.Start(t.Context())
		defer m.Close()
		first := trusted(t, storage, config, "example.org")
		pass := func(d time.Duration) {
			m.cancel() // time passes at once if nothing looks every few seconds
			m.tasks.Wait()
			time.Sleep(d)
			m.Start(t.Context())
			time.Sleep(2 * lookInterval)
			synctest.Wait()
		}
		pass(internalLife - internalRenew - 2*time.Hour)
		if got := trusted(t, storage, config, "example.org"); got != first {
			t.Error("renewed too early")
		}

		// If the new one can't be written, the old one stays in use, and that is logged once.
		dir := filepath.Join(storage, "internal")
		if err := os.Rename(dir, dir+".away"); err != nil {
			t.Fatal(err)
		}
		write(t, dir, nil)
		pass(2 * time.Hour)
		time.Sleep(10 * lookInterval)
		if lines := above(logs); len(lines) != 1 {
			t.Errorf("a renewal that fails is logged as %q", lines)
		}
		if got := m.set.list[0].entries[0].source.(*internal).cert.Load().Leaf.SerialNumber.String(); got != first {
			t.Error("a certificate is served that wasn't kept")
		}
		os.Remove(dir)
		os.Rename(dir+".away", dir)
		time.Sleep(2 * lookInterval)
		synctest.Wait()
		if got := trusted(t, storage, config, "example.org"); got == first || got == "" {
			t.Error("not renewed")
		}
	})
}

// TestInternalFromTheFuture: a certificate that was made while the clock was ahead once was
// served for as long as that, and no client accepted it. It isn't replaced at once: a
// machine may start with a clock that is late.
func TestInternalFromTheFuture(t *testing.T) {
	storage := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(365 * 24 * time.Hour)
		m := New(storage, nil)
		defer m.Close()
		addInternal(t, m, "example.org")
	})
	synctest.Test(t, func(t *testing.T) {
		m := New(storage, nil)
		addInternal(t, m, "example.org")
		served := m.set.list[0].entries[0].source.(*internal)
		first := served.cert.Load()
		m.Start(t.Context())
		defer m.Close()
		time.Sleep(internalEarly)
		if served.cert.Load() != first {
			t.Error("replaced at once")
		}
		time.Sleep(2 * lookInterval)
		synctest.Wait()
		if begins := served.cert.Load().Leaf.NotBefore; begins.After(time.Now()) {
			t.Errorf("the certificate isn't valid before %v", begins)
		}
	})
}
