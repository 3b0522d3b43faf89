//go:build long

package dnsprovider

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestLongBIND changes a zone of a real BIND, with a key of tsig-keygen that may change
// the challenges alone.
func TestLongBIND(t *testing.T) {
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin") // where Debian has named
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := exec.Command("tsig-keygen", "mkd").Output()
	if err != nil {
		t.Fatalf("tsig-keygen: %v", err)
	}
	keyFile := write("mkd.key", string(key))
	write("zone", "$TTL 60\n@ SOA ns root 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\n")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	conf := write("named.conf", fmt.Sprintf(`
include %q;
controls {};
options {
	directory %q;
	pid-file none;
	session-keyfile none;
	listen-on port %d { 127.0.0.1; };
	listen-on-v6 { none; };
	recursion no;
	dnssec-validation no;
};
zone "example.org" {
	type primary;
	file "zone";
	update-policy { grant mkd name _acme-challenge.www.example.org. txt; };
};
`, keyFile, dir, port))
	out := new(strings.Builder)
	named := exec.CommandContext(t.Context(), "named", "-g", "-c", conf)
	named.Stdout, named.Stderr = out, out
	if err := named.Start(); err != nil {
		t.Fatalf("named: %v", err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	txt := func() (values []string, err error) {
		m := new(dns.Msg).SetQuestion("_acme-challenge.www.example.org.", dns.TypeTXT)
		reply, _, err := new(dns.Client).Exchange(m, address)
		if err == nil && !reply.Authoritative {
			err = fmt.Errorf("the zone isn't loaded: %s", dns.RcodeToString[reply.Rcode])
		}
		if err == nil {
			for _, rr := range reply.Answer {
				values = append(values, strings.Join(rr.(*dns.TXT).Txt, ""))
			}
		}
		return values, err
	}
	t.Cleanup(func() {
		named.Process.Kill()
		named.Wait()
		if t.Failed() {
			t.Log(out)
		}
	})
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := txt(); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("named doesn't respond")
		}
	}

	p := &RFC2136{Server: address, KeyFile: keyFile}
	for _, value := range []string{"one", "two"} {
		if _, err := p.AppendRecords(context.Background(), zone, record(value)); err != nil {
			t.Fatal(err)
		}
	}
	if values, err := txt(); err != nil || len(values) != 2 {
		t.Errorf("%q, %v", values, err)
	}
	if _, err := p.DeleteRecords(context.Background(), zone, record("one")); err != nil {
		t.Fatal(err)
	}
	if values, err := txt(); err != nil || len(values) != 1 || values[0] != "two" {
		t.Errorf("%q, %v", values, err)
	}
	other := record("x")
	rr := other[0].RR()
	rr.Name = "_acme-challenge.other"
	other[0] = rr
	if _, err := p.AppendRecords(context.Background(), zone, other); err == nil || !strings.Contains(err.Error(), "may the key change this zone?") {
		t.Errorf("a name that the key may not change: %v", err)
	}
	if _, err := (&RFC2136{Server: address}).AppendRecords(context.Background(), zone, record("x")); err == nil || !strings.Contains(err.Error(), "may the key change this zone?") {
		t.Errorf("without a key: %v", err)
	}
	stranger, err := exec.Command("tsig-keygen", "stranger").Output()
	if err != nil {
		t.Fatal(err)
	}
	p = &RFC2136{Server: address, KeyFile: write("stranger.key", string(stranger))}
	if _, err := p.AppendRecords(context.Background(), zone, record("x")); err == nil || !strings.Contains(err.Error(), "does it know the key") {
		t.Errorf("with a key that it doesn't know: %v", err)
	}
}
