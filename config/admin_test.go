package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAdminOfABrokenFile: the commands find the daemon whatever is wrong with the
// rest of the file.
func TestAdminOfABrokenFile(t *testing.T) {
	const section = "admin:\n  address: unix:run/a.sock # here\n"
	for name, text := range map[string]string{
		"valid":              minimal + section,
		"in one line":        minimal + "admin: {address: unix:run/a.sock}\n",
		"nothing else":       section,
		"unknown keys":       "listner: {}\n" + section,
		"not YAML before it": "listeners: {app: [}\n" + section + "\n# end\n",
		"not YAML after it":  section + "routes:\n  - match: *.php\n",
		"tabs":               "listeners:\n\tapp: {}\n" + section,
	} {
		a, err := parseAdmin("x/config.yaml", []byte(text), "x")
		if err != nil || a.Socket("x/config.yaml") != "x/run/a.sock" {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	for name, c := range map[string]struct{ text, want string }{
		"TCP":         {"a: 1\nadmin: {address: \"127.0.0.1:1\"}\n", "f:2:18: admin.address: got \"127.0.0.1:1\"; want the path of a unix socket"},
		"public":      {"admin: {http: \":9090\"}\n", "f:1:15: admin.http: got \":9090\"; want an address of this machine alone, such as 127.0.0.1:9090"},
		"a network":   {"admin: {http: 192.0.2.1:9090}\n", "want an address of this machine alone"},
		"no port":     {"admin: {metrics: 192.0.2.1}\n", "f:1:18: admin.metrics: got \"192.0.2.1\"; the port is missing; write 192.0.2.1:9091"},
		"unknown key": {"admin: {adress: unix:a}\n", "f:1:9: admin.adress: unknown key; did you mean \"address\"?"},
		"a list":      {"admin: [a]\n", "f:1:8: admin: got a list; want keys with values"},
		"too long":    {"admin: {address: \"unix:/" + strings.Repeat("a", 107) + "\"}\n", "108 bytes; 107 are the most"},
	} {
		if _, err := parseAdmin("f", []byte(c.text), "."); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %s", name, err, c.want)
		}
	}
}

// TestAdminDefault: the socket is where systemd wants it, or beside the file.
func TestAdminDefault(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("listeners: {"), 0o600); err != nil {
		t.Fatal(err)
	}
	for dirs, want := range map[string]string{
		"":                  filepath.Join(filepath.Dir(file), "mkd.sock"),
		"/run/mkd":          "/run/mkd/admin.sock",
		"/run/mkd:/run/two": "/run/mkd/admin.sock",
	} {
		t.Setenv("RUNTIME_DIRECTORY", dirs)
		a, err := LoadAdmin(file)
		if err != nil || a.Socket(file) != want {
			t.Errorf("%q: %+v, %v; want %s", dirs, a, err, want)
		}
	}
	if _, err := LoadAdmin(filepath.Join(t.TempDir(), "none.yaml")); err == nil {
		t.Error("a missing file has a section")
	}
}
