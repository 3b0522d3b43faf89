package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// patience bounds what should happen soon, on a busy machine, too.
const patience = time.Minute

func observed() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.DebugLevel)
	return zap.New(core), logs
}

// above counts what was logged above level info.
func above(logs *observer.ObservedLogs) []string {
	var lines []string
	for _, e := range logs.All() {
		if e.Level > zapcore.InfoLevel {
			lines = append(lines, e.Message)
		}
	}
	return lines
}

// selfSigned makes a certificate for names, with a common name to identify it.
func selfSigned(t *testing.T, serial int64, notAfter time.Time, names ...string) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		NotBefore:    notAfter.Add(-365 * 24 * time.Hour),
		NotAfter:     notAfter,
		DNSNames:     names,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// writePair writes NAME.crt and NAME.key into dir.
func writePair(t *testing.T, dir, name string, serial int64, notAfter time.Time, names ...string) KeyPair {
	t.Helper()
	cert, key := selfSigned(t, serial, notAfter, names...)
	kp := KeyPair{filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")}
	write(t, kp.Cert, cert)
	write(t, kp.Key, key)
	return kp
}

// shake makes a handshake, and returns what the client saw.
func shake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	a, b := net.Pipe()
	deadline := time.Now().Add(patience)
	a.SetDeadline(deadline)
	b.SetDeadline(deadline)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s := tls.Server(a, server)
		if s.Handshake() == nil {
			s.Write([]byte("x")) // TLS 1.3: the client is done before the server
		}
		s.Close()
	}()
	c := tls.Client(b, client)
	err := c.Handshake()
	if err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	b.Close()
	<-done
	return c.ConnectionState(), err
}

// served returns the serial number of the certificate that a client gets for a
// name, 0 if it gets the alert for a name that isn't served.
func served(t *testing.T, server *tls.Config, name string) int64 {
	t.Helper()
	state, err := shake(t, server, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		if !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("asking for %q: %v", name, err)
		}
		return 0
	}
	return state.PeerCertificates[0].SerialNumber.Int64()
}

// one returns the options of a listener with a single certificate.
func one(c Certificate) Options { return Options{Certificates: []Certificate{c}} }

func TestHostnames(t *testing.T) {
	for given, want := range map[string]string{
		"example.org":                            "example.org",
		"Example.ORG.":                           "example.org",
		"*.example.org":                          "*.example.org",
		"bücher.example":                         "xn--bcher-kva.example",
		"BÜCHER.example":                         "xn--bcher-kva.example",
		"*.bücher.example":                       "*.xn--bcher-kva.example",
		"a_b.example.org":                        "a_b.example.org",
		"localhost":                              "localhost",
		"192.0.2.1":                              "192.0.2.1",
		"::ffff:192.0.2.1":                       "192.0.2.1",
		"2001:DB8::1":                            "2001:db8::1",
		"":                                       "",
		".":                                      "",
		"*":                                      "",
		"*.":                                     "",
		"*.*.example.org":                        "",
		"a.*.example.org":                        "",
		"example..org":                           "",
		".example.org":                           "",
		"example.org:443":                        "",
		"example.org/":                           "",
		"http://example.org":                     "",
		"exa mple.org":                           "",
		"-a.example.org":                         "",
		"a-.example.org":                         "",
		"../../etc":                              "",
		"fe80::1%lo":                             "",
		strings.Repeat("a", 64) + ".example.org": "",
		strings.Repeat("a.", 127) + "example.org":   "",
		strings.Repeat("a", 63) + ".example.org":    strings.Repeat("a", 63) + ".example.org",
		"example.org\x00.example.com":               "",
		"example.org\r\n":                           "",
		"xn--bcher-kva.example":                     "xn--bcher-kva.example",
		strings.Repeat("ü", 60) + ".example.org":    "",
		strings.Repeat("a.", 119) + "a.example.org": strings.Repeat("a.", 119) + "a.example.org",
	} {
		got, err := hostname(given)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", given, got, err, want)
		}
	}
}

func TestChoose(t *testing.T) {
	h, err := newHosts([]string{"Example.org", "*.example.org", "www.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	for asked, want := range map[string]string{
		"":                "example.org",
		"example.org":     "example.org",
		"EXAMPLE.org":     "example.org",
		"a.example.org":   "a.example.org",
		"a.b.example.org": "",
		"example.com":     "",
		"www.example.com": "www.example.com",
		"org":             "",
		".example.org":    ".example.org", // crypto/tls has refused it by then, or no certificate is for it
		"192.0.2.1":       "",
	} {
		got, ok := h.choose(asked)
		if !ok {
			got = ""
		}
		if got != want {
			t.Errorf("%q: %q, want %q", asked, got, want)
		}
	}
}

func TestOptions(t *testing.T) {
	dir := t.TempDir()
	good := writePair(t, dir, "good", 1, time.Now().Add(time.Hour), "example.org")
	other := writePair(t, dir, "other", 2, time.Now().Add(time.Hour), "example.org")
	large := filepath.Join(dir, "large")
	write(t, large, make([]byte, maxFile+1))
	storage := filepath.Join(dir, "storage")
	acme := func(change func(*ACME)) *ACME {
		a := &ACME{AgreeTerms: true, CA: "https://ca.example/dir", TLSAddress: ":443", HTTPAddress: ":80"}
		if change != nil {
			change(a)
		}
		return a
	}
	example := []string{"example.org"}
	for _, test := range []struct {
		storage string
		o       Certificate
		want    string // "": right
	}{
		{storage, Certificate{Hosts: example, Files: []KeyPair{good}}, ""},
		{"", Certificate{Hosts: example, Files: []KeyPair{good, other}}, ""},
		{storage, Certificate{Files: []KeyPair{good}}, ""},
		{storage, Certificate{Hosts: example, Internal: true}, ""},
		{storage, Certificate{Hosts: example, ACME: acme(nil)}, ""},
		{storage, Certificate{Hosts: example, ACME: acme(func(a *ACME) { a.HTTPAddress = "" })}, ""},
		{storage, Certificate{Hosts: example, ACME: acme(func(a *ACME) { a.CARoot = good.Cert; a.TLSAddress = "127.0.0.1:https" })}, ""},
		{storage, Certificate{Hosts: example, ACME: acme(func(a *ACME) { a.CA = "" })}, ""},
		{storage, Certificate{Hosts: []string{"bücher.example"}, ACME: acme(nil)}, ""},

		{storage, Certificate{}, "exactly one"},
		{storage, Certificate{Hosts: example}, "exactly one"},
		{storage, Certificate{Hosts: example, Internal: true, Files: []KeyPair{good}}, "exactly one"},
		{storage, Certificate{Hosts: example, Internal: true, ACME: acme(nil)}, "exactly one"},
		{storage, Certificate{Internal: true}, "no hosts"},
		{storage, Certificate{ACME: acme(nil)}, "no hosts"},
		{"", Certificate{Hosts: example, Internal: true}, "no folder"},
		{"", Certificate{Hosts: example, ACME: acme(nil)}, "no folder"},
		{good.Cert, Certificate{Hosts: example, Internal: true}, "the folder of certificates"},
		{storage, Certificate{Hosts: []string{"example.org", "example.org."}, Internal: true}, "duplicate"},
		{storage, Certificate{Hosts: []string{"example.org:443"}, Internal: true}, "isn't a host name"},

		{storage, Certificate{Files: []KeyPair{{good.Cert, dir + "/none"}}}, dir + "/none"},
		{storage, Certificate{Files: []KeyPair{{dir + "/none", good.Key}}}, dir + "/none"},
		{storage, Certificate{Files: []KeyPair{{good.Cert, other.Key}}}, "doesn't belong to the certificate"},
		{storage, Certificate{Files: []KeyPair{{good.Key, good.Cert}}}, "there is no certificate in PEM in " + good.Key},
		{storage, Certificate{Files: []KeyPair{{large, good.Key}}}, "not a file of"},
		{storage, Certificate{Files: []KeyPair{{dir, good.Key}}}, "not a file of"},

		{storage, Certificate{Hosts: example, ACME: acme(func(a *ACME) { a.AgreeTerms = false })}, "agree_terms: true"},
		{storage, Certificate{Hosts: example, ACME: acme(func(a *ACME) { a.AgreeTerms, a.CA = false, "" })}, "acme-v02.api.letsencrypt.org"},
		{storage, Certificate{Hosts: []string{"*.example.org"}, ACME: acme(nil)}, "dns-01"},
		{storage, Certificate{Hosts: []string{"192.0.2.1"}, ACME: acme(nil)}, "not for addresses"},
		{storage, Certificate{Hosts: []string{"localhost"}, ACME: acme(func(a *ACME) { a.CA = "" })}, "Let's Encrypt"},
		{storage, Certificate{Hosts: example, ACME: acme(func(a *ACME) { a.CA = "http://ca.example/dir" })}, "https://HOST/PATH"},
		{storage, Certificate{Hosts: example, ACME: acme(func(a *ACME) { a.CA = "ca.example" })}, "https://HOST/PATH"},
		{storage, Certificate{Hosts: example, ACME: acme(func(a *ACME) { a.CARoot = dir + "/none" })}, "ca_root"},
		{storage, Certificate{Hosts: example, ACME: acme(func(a *ACME) { a.CARoot = good.Key })}, "no certificates"},
		{storage, Certificate{ACME: acme(func(a *ACME) { a.OnDemand = &OnDemand{Ask: "http://127.0.0.1/ask"} })}, ""},
		{storage, Certificate{ACME: acme(func(a *ACME) { a.OnDemand = &OnDemand{Ask: "127.0.0.1/ask"} })}, "on_demand.ask"},
		{storage, Certificate{Hosts: example, ACME: acme(func(a *ACME) { a.TLSAddress = "" })}, "address"},
		{storage, Certificate{Hosts: example, ACME: acme(func(a *ACME) { a.TLSAddress = ":0" })}, "port"},
		{storage, Certificate{Hosts: example, ACME: acme(func(a *ACME) { a.HTTPAddress = ":none" })}, "port"},
	} {
		m := New(test.storage, nil)
		config, err := m.Add("web", one(test.o))
		if err == nil {
			err = m.Prepare()
		}
		if test.want == "" && (err != nil || config == nil) {
			t.Errorf("%+v: %v", test.o, err)
		}
		if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: %v, want %q", test.o, err, test.want)
		}
		m.Close()
	}
}

// A host of two listeners has one certificate, so one way to get it.
func TestHostOfTwoListeners(t *testing.T) {
	m := New(t.TempDir(), nil)
	defer m.Close()
	a := ACME{AgreeTerms: true, CA: "https://ca.example/dir", TLSAddress: ":443"}
	if _, err := m.Add("one", one(Certificate{Hosts: []string{"example.org"}, ACME: &a})); err != nil {
		t.Fatal(err)
	}
	b := a
	b.TLSAddress = ":8443"
	if _, err := m.Add("two", one(Certificate{Hosts: []string{"example.org", "example.com"}, ACME: &b})); err != nil {
		t.Error(err)
	}
	if s := m.acme.source("example.com"); len(s.hosts) != 1 || s.hosts[0] != "example.com" {
		t.Errorf("the second listener obtains certificates for %q", s.hosts)
	}
	b.Email = "me@example.org"
	if _, err := m.Add("three", one(Certificate{Hosts: []string{"example.org"}, ACME: &b})); err == nil || !strings.Contains(err.Error(), "another listener") {
		t.Error(err)
	}
}
