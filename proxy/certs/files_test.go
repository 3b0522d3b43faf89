package certs

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fileTest is a listener with certificates from files, in a bubble of
// testing/synctest.
type fileTest struct {
	t      *testing.T
	config *tls.Config
}

// look waits until the files have been looked at n times, and checks which
// certificate is served.
func (f *fileTest) look(n int, want int64, what string) {
	f.t.Helper()
	for range n {
		time.Sleep(lookInterval)
		synctest.Wait()
	}
	if got := served(f.t, f.config, "example.org"); got != want {
		f.t.Errorf("%s: certificate %d is served, want %d", what, got, want)
	}
}

func TestFilesChange(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		end := time.Now().Add(24 * time.Hour)
		kp := writePair(t, dir, "site", 1, end, "example.org")
		logger, logs := observed()
		m := New("", logger)
		config, err := m.Add("web", one(Certificate{Hosts: []string{"example.org"}, Files: []KeyPair{kp}}))
		if err != nil {
			t.Fatal(err)
		}
		m.Start(t.Context())
		defer m.Close()
		f := &fileTest{t, config}
		f.look(1, 1, "unchanged")
		if logs.Len() != 0 {
			t.Errorf("logged: %v", logs.All())
		}

		// A change is found even if the file's time and size stay the same.
		before, _ := os.Stat(kp.Cert)
		writePair(t, dir, "site", 2, end, "example.org")
		os.Chtimes(kp.Cert, before.ModTime(), before.ModTime())
		os.Chtimes(kp.Key, before.ModTime(), before.ModTime())
		f.look(1, 2, "overwritten")

		next := writePair(t, dir, "next", 3, end, "example.org")
		os.Rename(next.Key, kp.Key)
		f.look(1, 2, "half renamed")
		os.Rename(next.Cert, kp.Cert)
		f.look(1, 3, "renamed")
		if lines := above(logs); len(lines) != 0 {
			t.Errorf("a change in two steps is logged: %q", lines)
		}

		logs.TakeAll()
		good, _ := os.ReadFile(kp.Cert)
		write(t, kp.Cert, []byte("-----BEGIN CERTIFICATE-----\nbroken"))
		f.look(5, 3, "broken")
		os.Remove(kp.Cert)
		f.look(5, 3, "removed")
		if st := m.Status(); len(st) != 1 || st[0].Listener != "web" || st[0].Name != kp.Cert || st[0].Error == "" || st[0].NotAfter.IsZero() {
			t.Errorf("status: %+v", st)
		}
		if lines := above(logs); len(lines) != 2 {
			t.Errorf("two faults are logged as %q", lines)
		}
		logs.TakeAll()
		write(t, kp.Cert, good)
		f.look(1, 3, "mended")
		if lines := above(logs); len(lines) != 0 || logs.Len() != 1 {
			t.Errorf("repaired: %v", logs.All())
		}

		logs.TakeAll()
		writePair(t, dir, "site", 4, time.Now().Add(-time.Hour), "example.org")
		f.look(1, 4, "expired")
		if lines := above(logs); len(lines) != 1 {
			t.Errorf("an expired certificate is logged as %q", lines)
		}

		logs.TakeAll()
		writePair(t, dir, "site", 5, time.Now().Add(time.Hour), "example.org")
		f.look(1, 5, "renewed")
		time.Sleep(2 * time.Hour)
		f.look(1, 5, "expired while it was served")
		if lines := above(logs); len(lines) != 1 || !strings.Contains(lines[0], "has expired") {
			t.Errorf("a certificate that expires is logged as %q", lines)
		}
	})
}

// TestFilesClash: a file whose new certificate is also for a name of another certificate
// isn't served: clients that ask for the name would get by the client_auth of the other
// one. It is served once the other one isn't for that name any more.
func TestFilesClash(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		end := time.Now().Add(24 * time.Hour)
		shop := writePair(t, dir, "shop", 1, end, "example.org")
		intra := writePair(t, dir, "intra", 2, end, "intra.example.org")
		logger, logs := observed()
		m := New("", logger)
		set := m.NewSet()
		made, err := set.Add("web", Options{Certificates: []Certificate{{Files: []KeyPair{shop}}, {Files: []KeyPair{intra}, ClientAuth: &ClientAuth{CA: intra.Cert}}}})
		if err != nil {
			t.Fatal(err)
		}
		m.Use(set)
		m.Start(t.Context())
		defer m.Close()
		f := &fileTest{t, made.Config}

		writePair(t, dir, "shop", 3, end, "example.org", "intra.example.org")
		f.look(5, 1, "with a name of the other certificate")
		if !made.Asks("intra.example.org") {
			t.Error("intra.example.org asks for no certificate any more")
		}
		if lines := above(logs); len(lines) != 1 {
			t.Errorf("logged: %q", lines)
		}
		if st := m.Status(); !strings.Contains(st[0].Error, "intra.example.org has a certificate already") {
			t.Errorf("status: %+v", st)
		}
		writePair(t, dir, "intra", 4, end, "other.example.org")
		f.look(2, 3, "the other one has given the name up")
		if st := m.Status(); st[0].Error != "" {
			t.Errorf("status: %+v", st)
		}
	})
}

// certbot has live/NAME/*.pem as symlinks that are replaced one by one, and
// Kubernetes a symlink to a folder that is replaced.
func TestFilesBehindSymlinks(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		end := time.Now().Add(24 * time.Hour)
		swap := func(target, link string) {
			t.Helper()
			os.Remove(link + ".tmp")
			if err := os.Symlink(target, link+".tmp"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(link+".tmp", link); err != nil {
				t.Fatal(err)
			}
		}
		for _, d := range []string{"archive", "live", "v1", "v2"} {
			os.Mkdir(filepath.Join(dir, d), 0o700)
		}
		writePair(t, dir+"/archive", "1", 1, end, "example.org")
		writePair(t, dir+"/archive", "2", 2, end, "example.org")
		writePair(t, dir+"/v1", "tls", 1, end, "example.org")
		writePair(t, dir+"/v2", "tls", 2, end, "example.org")
		swap("../archive/1.crt", dir+"/live/cert.pem")
		swap("../archive/1.key", dir+"/live/key.pem")
		swap("v1", dir+"/..data")
		swap("..data/tls.crt", dir+"/tls.crt")
		swap("..data/tls.key", dir+"/tls.key")

		var tests []*fileTest
		m := New("", nil)
		for i, kp := range []KeyPair{{dir + "/live/cert.pem", dir + "/live/key.pem"}, {dir + "/tls.crt", dir + "/tls.key"}} {
			config, err := m.Add(fmt.Sprint("web", i), one(Certificate{Files: []KeyPair{kp}}))
			if err != nil {
				t.Fatal(err)
			}
			tests = append(tests, &fileTest{t, config})
		}
		m.Start(t.Context())
		defer m.Close()
		for _, f := range tests {
			f.look(1, 1, "unchanged")
		}
		swap("../archive/2.crt", dir+"/live/cert.pem")
		swap("v2", dir+"/..data")
		tests[0].look(1, 1, "the certificate alone")
		tests[1].look(1, 2, "a folder")
		swap("../archive/2.key", dir+"/live/key.pem")
		tests[0].look(1, 2, "the key as well")
	})
}

func TestChoiceOfFiles(t *testing.T) {
	dir, end := t.TempDir(), time.Now().Add(24*time.Hour)
	pairs := []KeyPair{
		writePair(t, dir, "1", 1, end, "example.org", "www.example.org"),
		writePair(t, dir, "2", 2, end, "*.example.com"),
		writePair(t, dir, "3", 3, end, "Example.NET"),
	}
	for _, test := range []struct {
		hosts  []string
		serves map[string]int64
		warns  int
	}{
		{nil, map[string]int64{
			"": 1, "example.org": 1, "WWW.example.org": 1, "a.example.com": 2, "example.net": 3,
			"example.com": 0, "a.b.example.com": 0, "other.example": 0,
		}, 0},
		{[]string{"*.example.com", "example.net"}, map[string]int64{
			"": 2, "a.example.com": 2, "example.net": 3, "example.org": 0, "www.example.org": 0,
		}, 0},
		// A listener serves the names it is configured for with the certificates it has.
		{[]string{"example.org", "other.example"}, map[string]int64{
			"": 1, "example.org": 1, "other.example": 1, "www.example.org": 0, "a.example.com": 0,
		}, 1},
	} {
		logger, logs := observed()
		m := New("", logger)
		config, err := m.Add("web", one(Certificate{Hosts: test.hosts, Files: pairs}))
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range test.serves {
			if got := served(t, config, name); got != want {
				t.Errorf("hosts %q: a client that asks for %q gets %d, want %d", test.hosts, name, got, want)
			}
		}
		if lines := above(logs); len(lines) != test.warns {
			t.Errorf("hosts %q: %q", test.hosts, lines)
		}
	}
}

func TestProtocols(t *testing.T) {
	m := New(t.TempDir(), nil)
	defer m.Close()
	pair := writePair(t, t.TempDir(), "1", 1, time.Now().Add(time.Hour), "example.org")
	acme := &ACME{AgreeTerms: true, CA: "https://ca.example/dir", TLSAddress: ":443"}
	for _, o := range []Certificate{{Files: []KeyPair{pair}}, {Internal: true}, {ACME: acme}} {
		o.Hosts = []string{"example.org"}
		config, err := m.Add("web", one(o))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"h2", "http/1.1"}
		if o.ACME != nil {
			want = append(want, "acme-tls/1")
		}
		if !slices.Equal(config.NextProtos, want) || config.MinVersion != tls.VersionTLS12 {
			t.Errorf("%+v: %q, from version %#x", o, config.NextProtos, config.MinVersion)
		}
		if _, err := shake(t, config, &tls.Config{ServerName: "example.org", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
			t.Errorf("%+v: TLS 1.1 is spoken", o)
		}
	}
}
