package certs

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mkd/internal/testserver/nameserver"
	"mkd/internal/testserver/pebble"
	"mkd/proxy/dnsprovider"
)

// dnsSite is a site whose CA looks into the DNS, and finds nobody at its ports.
func dnsSite(t *testing.T, zone string) (*site, *nameserver.Server) {
	t.Helper()
	s := newSite(t, 24*time.Hour)
	ns := nameserver.Start(t, zone)
	elsewhere := listenTCP(t)
	elsewhere.Close()
	s.pebble = pebble.StartWithDNS(t, port(elsewhere), port(elsewhere), 24*time.Hour, ns.Address)
	return s, ns
}

// TestWildcard: a wildcard certificate comes by dns-01, by updates of a DNS server that
// are signed, beside one for the domain itself. The records are gone afterwards.
func TestWildcard(t *testing.T) {
	s, ns := dnsSite(t, "wild.example.org.")
	o := s.acme()
	o.DNS = &DNS{RFC2136: &dnsprovider.RFC2136{Server: ns.Address, KeyFile: ns.KeyFile}, Resolvers: []string{ns.Address}, Timeout: patience}
	s.serve(Certificate{Hosts: []string{"*.wild.example.org", "wild.example.org"}, ACME: o})
	s.manager.Start(t.Context())
	for name, want := range map[string]string{"a.wild.example.org": "*.wild.example.org", "b.wild.example.org": "*.wild.example.org", "wild.example.org": "wild.example.org"} {
		s.await("a certificate for "+name, func() bool {
			cert, err := s.get(name)
			return err == nil && len(cert.DNSNames) == 1 && cert.DNSNames[0] == want
		})
	}
	if state, err := shake(t, s.config, &tls.Config{InsecureSkipVerify: true}); err != nil || state.PeerCertificates[0].DNSNames[0] != "*.wild.example.org" {
		t.Errorf("without SNI: %v", err)
	}
	if _, err := s.get("a.b.wild.example.org"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("two labels: %v", err)
	}
	s.await("no record", func() bool { return len(ns.TXT("_acme-challenge.wild.example.org.")) == 0 })
	if log := ns.Log(); len(log) != 4 {
		t.Errorf("the server has seen %q", log)
	}
	if lines := above(s.logs); len(lines) > 0 {
		t.Errorf("logged: %q", lines)
	}
}

// TestDNSByProgram: a program sets the record, and deletes it.
func TestDNSByProgram(t *testing.T) {
	s, ns := dnsSite(t, "prog.example.org.")
	dir := t.TempDir()
	calls := filepath.Join(dir, "calls")
	hook := filepath.Join(dir, "hook")
	script := "#!/bin/sh\necho \"$@\" >>" + calls + "\n"
	if err := os.WriteFile(hook, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	// The records that the program would set appear as it has written them down.
	go func() {
		done := 0
		for t.Context().Err() == nil {
			text, _ := os.ReadFile(calls)
			lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
			for ; done < len(lines) && lines[done] != ""; done++ {
				if w := strings.Fields(lines[done]); len(w) == 4 {
					ns.Set(w[2], w[3], w[1] == "present")
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	o := s.acme()
	o.DNS = &DNS{Exec: []string{hook, "first"}, Resolvers: []string{ns.Address}, Timeout: patience}
	s.serve(Certificate{Hosts: []string{"*.prog.example.org"}, ACME: o})
	s.manager.Start(t.Context())
	s.await("a certificate", func() bool { _, err := s.get("a.prog.example.org"); return err == nil })
	s.await("the call for cleanup", func() bool {
		text, _ := os.ReadFile(calls)
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		return len(lines) == 2 && strings.HasPrefix(lines[0], "first present _acme-challenge.prog.example.org. ") &&
			lines[1] == strings.Replace(lines[0], "present", "cleanup", 1)
	})
}

// TestDNSFails: an update that is refused is logged with what to check, and tried again
// with another key.
func TestDNSFails(t *testing.T) {
	s, ns := dnsSite(t, "fails.example.org.")
	key := filepath.Join(t.TempDir(), "tsig.key")
	write(t, key, []byte(`key "other" { algorithm hmac-sha256; secret "b3RoZXI="; };`))
	o := s.acme()
	o.DNS = &DNS{RFC2136: &dnsprovider.RFC2136{Server: ns.Address, KeyFile: key}, Resolvers: []string{ns.Address}, Timeout: patience}
	s.serve(Certificate{Hosts: []string{"*.fails.example.org"}, ACME: o})
	s.manager.Start(t.Context())
	s.await("a failure that is logged", func() bool { return len(s.logged("no certificate could be obtained")) > 0 })
	logged := s.logged("no certificate could be obtained")[0].ContextMap()
	if text := logged["error"].(string); !strings.Contains(text, "does it know the key") {
		t.Errorf("logged: %v", logged)
	}
	if logged["check"] != "can the DNS be changed by what acme.dns has, and do its resolvers see it?" {
		t.Errorf("logged: %v", logged)
	}
	if st := s.manager.Status(); len(st) != 1 || !strings.Contains(st[0].Error, "does it know the key") {
		t.Errorf("status: %+v", st)
	}
	good, err := os.ReadFile(ns.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	write(t, key, good)
	s.await("a certificate", func() bool { _, err := s.get("a.fails.example.org"); return err == nil })
}
