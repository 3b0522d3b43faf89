package dnsprovider

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/libdns/libdns"

	"mkd/internal/testserver/nameserver"
)

const zone = "example.org."

// record is the one of a challenge.
func record(value string) []libdns.Record {
	return []libdns.Record{libdns.RR{Type: "TXT", Name: "_acme-challenge.www", Data: value, TTL: time.Minute}}
}

// TestUpdates adds two records of a name, and deletes one.
func TestUpdates(t *testing.T) {
	ns := nameserver.Start(t, zone)
	p := &RFC2136{Server: ns.Address, KeyFile: ns.KeyFile}
	for _, value := range []string{"one", "two"} {
		if done, err := p.AppendRecords(t.Context(), zone, record(value)); err != nil || len(done) != 1 {
			t.Fatalf("%v, %v", done, err)
		}
	}
	if _, err := p.DeleteRecords(t.Context(), "example.org", record("one")); err != nil {
		t.Fatal(err)
	}
	if got := ns.TXT("_acme-challenge.www." + zone); !slices.Equal(got, []string{"two"}) {
		t.Errorf("the server has %q", got)
	}
}

func TestUpdateErrors(t *testing.T) {
	ns := nameserver.Start(t, zone)
	other := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(other, []byte(`key "mkd-test" { algorithm hmac-sha256; secret "b3RoZXI="; };`), 0o600); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		p    RFC2136
		ctx  context.Context
		zone string
		want string
	}{
		{"another secret", RFC2136{ns.Address, other}, t.Context(), zone, "does it know the key"},
		{"another zone", RFC2136{ns.Address, ns.KeyFile}, t.Context(), "example.com.", "is this its zone"},
		{"no key", RFC2136{ns.Address, ""}, t.Context(), zone, "may the key change this zone"},
		{"no file", RFC2136{ns.Address, other + ".none"}, t.Context(), zone, "key_file: "},
		{"nobody there", RFC2136{"127.0.0.1:1", ""}, t.Context(), zone, "connection refused"},
		{"too late", RFC2136{ns.Address, ns.KeyFile}, ended, zone, "canceled"},
	} {
		if _, err := c.p.AppendRecords(c.ctx, c.zone, record("x")); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if log := ns.Log(); len(log) > 0 {
		t.Errorf("the server has changed: %q", log)
	}
	bad := []libdns.Record{libdns.RR{Type: "A", Name: "www", Data: "192.0.2.1"}}
	if _, err := (&RFC2136{Server: ns.Address}).AppendRecords(t.Context(), zone, bad); err == nil {
		t.Error("a record of type A is taken")
	}
}

func TestParseKey(t *testing.T) {
	for text, want := range map[string]string{
		"key \"mkd\" {\n\talgorithm hmac-sha256;\n\tsecret \"c2VjcmV0\";\n};\n":    "mkd. hmac-sha256. c2VjcmV0",
		"# a comment\nkey Mkd.Example { secret c2VjcmV0; algorithm HMAC-SHA512; }": "mkd.example. hmac-sha512. c2VjcmV0",
		"c2VjcmV0": "",
		"":         "",
		"key mkd { algorithm hmac-md5; secret \"c2VjcmV0\"; };":                  "",
		"key mkd { algorithm hmac-sha256; };":                                    "",
		"key mkd { secret \"c2VjcmV0\"; };":                                      "",
		"key mkd { algorithm hmac-sha256; secret \"not base64!\"; };":            "",
		"key mkd { algorithm hmac-sha256; secret \"c2VjcmV0\"; port 1; };":       "",
		"key a..b { algorithm hmac-sha256; secret \"c2VjcmV0\"; };":              "",
		"key a { algorithm hmac-sha256; secret x; }; key b { secret c2VjcmV0; }": "",
	} {
		k, err := parseKey(text)
		got := ""
		if err == nil {
			got = k.name + " " + k.algorithm + " " + k.secret
		} else if strings.Contains(err.Error(), "c2VjcmV0") || strings.Contains(err.Error(), "not base64") {
			t.Errorf("the error has the secret: %v", err)
		}
		if got != want {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add("key \"mkd\" {\n\talgorithm hmac-sha256;\n\tsecret \"c2VjcmV0\";\n};\n")
	f.Add("key a { secret b; // }")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := parseKey(text)
		if (k == nil) == (err == nil) {
			t.Fatalf("%v, %v", k, err)
		}
	})
}

// program writes a shell script.
func program(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestExec checks the arguments and the environment of a program.
func TestExec(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	t.Setenv("NOTIFY_SOCKET", "/run/notify")
	t.Setenv("LISTEN_FDS", "3")
	t.Setenv("API_TOKEN", "token")
	p := &Exec{Command: []string{program(t, `echo "$# $* [$API_TOKEN] [$NOTIFY_SOCKET$LISTEN_FDS] $(cat)" >>`+out), "a b"}}
	if _, err := p.AppendRecords(t.Context(), zone, record("v-1")); err != nil {
		t.Fatal(err)
	}
	if _, err := p.DeleteRecords(t.Context(), zone, record("v-1")); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	want := "4 a b present _acme-challenge.www.example.org. v-1 [token] [] \n4 a b cleanup _acme-challenge.www.example.org. v-1 [token] [] \n"
	if err != nil || string(got) != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

// TestExecFails: the end of the output is in the error; a program that takes too long is
// killed with its children.
func TestExecFails(t *testing.T) {
	p := &Exec{Command: []string{program(t, "i=0; while [ $i -lt 300 ]; do echo 'some line'; i=$((i+1)); done; echo 'no such zone' >&2; exit 3")}}
	_, err := p.AppendRecords(t.Context(), zone, record("x"))
	if err == nil || !strings.Contains(err.Error(), "present: exit status 3; it wrote ") || !strings.Contains(err.Error(), "no such zone") || len(err.Error()) > 2*maxTail {
		t.Errorf("%v", err)
	}
	if _, err := (&Exec{Command: []string{"/nowhere/hook"}}).AppendRecords(t.Context(), zone, record("x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}

	pid := filepath.Join(t.TempDir(), "pid")
	p = &Exec{Command: []string{program(t, "sleep 1000")}, timeout: 10 * time.Millisecond}
	if _, err := p.AppendRecords(t.Context(), zone, record("x")); err == nil || !strings.Contains(err.Error(), "took longer than 10ms, and was killed") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var text []byte
	go func() {
		defer cancel()
		for end := time.Now().Add(20 * time.Second); len(text) == 0 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			text, _ = os.ReadFile(pid)
		}
	}()
	p = &Exec{Command: []string{program(t, "sleep 1000 & echo $! >"+pid+".new; mv "+pid+".new "+pid+"; wait")}}
	if _, err := p.AppendRecords(ctx, zone, record("x")); err == nil || len(text) == 0 {
		t.Fatalf("%v, pid %q", err, text)
	}
	status := "/proc/" + strings.TrimSpace(string(text)) + "/stat"
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile(status)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) || strings.Contains(string(stat), ") Z ") {
			break
		}
		if time.Now().After(end) {
			t.Fatal("its child lives on")
		}
	}
}

// fake is a libdns provider.
type fake struct {
	Token string `json:"api_token"`
	RFC2136
}

func TestNamed(t *testing.T) {
	with := map[string]constructor{"fake": libdnsProvider[fake]}
	p, err := named(with, "fake", map[string]string{"api_token": "t"})
	if err != nil || p.(*fake).Token != "t" {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := named(with, "fake", map[string]string{"token": "secret"}); err == nil || !strings.Contains(err.Error(), `unknown field "token"`) || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	if _, err := named(with, "other", nil); err == nil || !strings.Contains(err.Error(), "(fake are)") {
		t.Errorf("%v", err)
	}
	if _, err := Named("cloudflare", nil); err == nil || !strings.Contains(err.Error(), "isn't built in (none is); use rfc2136 or exec") {
		t.Errorf("%v", err)
	}
}
