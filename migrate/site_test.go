package migrate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// moved returns the lines of the result from "routes:" on, without the indentation of
// the list, for a file with server blocks.
func moved(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nginx.conf")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Nginx(file)
	if err != nil {
		t.Fatal(err)
	}
	_, routes, _ := strings.Cut(string(r.YAML), "routes:\n")
	return strings.ReplaceAll(strings.TrimSpace("\n"+routes), "\n  ", "\n")
}

// TestHosts: of several servers that a host fits, the most exact one gets the request, and
// a default server that of its listener.
func TestHosts(t *testing.T) {
	server := func(listen, names string) string {
		return "server { " + listen + " server_name " + names + "; return 200 '" + strings.Fields(names)[0] + "'; }\n"
	}
	for _, c := range []struct{ name, text, want string }{
		{"wildcards", server("listen 80 default_server;", "d.org") + server("listen 80;", "*.b.org") + server("listen 80;", "*.a.b.org") + server("listen 80;", "c.b.org"), `
- match: {hosts: [c.b.org]}
  respond: {status: 200, body: c.b.org}
- match: {hosts: ["*.a.b.org"]}
  respond: {status: 200, body: "*.a.b.org"}
- match: {hosts: ["*.b.org"]}
  respond: {status: 200, body: "*.b.org"}
- respond: {status: 200, body: d.org}`},
		{"a wildcard and the default server", server("listen 80 default_server;", "www.b.org b.org") + server("listen 80;", "*.b.org"), `
- match: {hosts: ["*.b.org"], not: {hosts: [www.b.org]}}
  respond: {status: 200, body: "*.b.org"}
- respond: {status: 200, body: www.b.org}`},
		{"a name beside a longer wildcard", server("listen 80 default_server;", "_") + server("listen 80;", "x.b.org *.c.org") + server("listen 80;", "*.bbb.c.org *.b.org"), `
- match: {hosts: ["*.bbb.c.org", "*.b.org"], not: {hosts: [x.b.org]}}
  respond: {status: 200, body: "*.bbb.c.org"}
- match: {hosts: [x.b.org, "*.c.org"]}
  respond: {status: 200, body: x.b.org}
- respond: {status: 200, body: _}`},
		{"default of one of two listeners", server("listen 80 default_server; listen 81;", "a.org") + server("listen 81 default_server;", "b.org"), `
- match: {hosts: [a.org]}
  respond: {status: 200, body: a.org}
- match: {listeners: [http_81]}
  respond: {status: 200, body: b.org}
- match: {listeners: [http]}
  respond: {status: 200, body: a.org}`},
		{"one without a name", server("listen 80 default_server; listen 81;", "_") + server("listen 81 default_server;", "b.org"), `
- match: {listeners: [http]}
  respond: {status: 200, body: _}
- match: {listeners: [http_81]}
  respond: {status: 200, body: b.org}`},
	} {
		if have := moved(t, c.text); have != strings.TrimSpace(c.want) {
			t.Errorf("%s: have\n%s\nwant%s", c.name, have, c.want)
		}
	}
}

// TestOneAddress: an address of its own is merged with all addresses of its port, which
// mkd listens on.
func TestOneAddress(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nginx.conf")
	text := "server { listen 80; server_name a.org; return 200 a; }\nserver { listen 10.0.0.1:80 default_server; server_name b.org; return 200 b; }\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Nginx(file)
	if err != nil {
		t.Fatal(err)
	}
	want := `listeners:
  http: {http: {address: ":80"}}
backends: {}
routes:
  # nginx.conf:2: listen 10.0.0.1:80 default_server; differs: mkd listens on all addresses of the port at once; hosts alone decide which server gets a request
  - match: {hosts: [b.org]}
    respond: {status: 200, body: b}
  - respond: {status: 200, body: a}
`
	if _, have, _ := strings.Cut(string(r.YAML), "\n\n"); have != want {
		t.Errorf("have\n%s\nwant\n%s", have, want)
	}
}

// TestNamesTaken: of servers with the same name nginx takes the first.
func TestNamesTaken(t *testing.T) {
	have := moved(t, "server { listen 80; server_name a.org; return 200 a; }\nserver { listen 80; server_name a.org b.org; return 200 b; }\nserver { listen 81; server_name a.org; return 200 c; }")
	want := `- match: {hosts: [b.org], listeners: [http]}
  respond: {status: 200, body: b}
- match: {listeners: [http]}
  respond: {status: 200, body: a}
- match: {listeners: [http_81]}
  respond: {status: 200, body: c}`
	if strings.ReplaceAll(have, "{listeners: [http], hosts: [b.org]}", "{hosts: [b.org], listeners: [http]}") != want {
		t.Errorf("have\n%s\nwant\n%s", have, want)
	}
}
