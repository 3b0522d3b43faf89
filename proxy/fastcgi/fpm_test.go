//go:build linux

package fastcgi

import (
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"mkd/internal/testserver/phpfpm"
	"mkd/proxy/balance"
)

// fpm is a real PHP-FPM that serves testdata/kit.php.
type fpm struct {
	*phpfpm.Server
	dir string
	tr  *Transport

	balancer balance.Balancer // over tr: it owns what is sent again
}

// startFPM starts PHP-FPM with a fixed number of workers, and settings of its pool.
func startFPM(t testing.TB, workers int, settings ...string) *fpm {
	t.Helper()
	kit, err := os.ReadFile("testdata/kit.php")
	if err != nil {
		t.Fatal(err)
	}
	s := phpfpm.Start(t, workers, append([]string{"php_admin_value[output_buffering] = 0"}, settings...)...)
	s.Write(t, "kit.php", string(kit))
	f := &fpm{Server: s, dir: s.Dir}
	f.tr = &Transport{Network: s.Network, Address: s.Address, Call: with(f.params)}
	f.balancer.Upstreams = []*balance.Upstream{{Transport: f.tr}}
	t.Cleanup(f.tr.CloseIdleConnections)
	return f
}

func (f *fpm) params(p *Params, r *http.Request) error {
	env, err := SiteConstant(Param{"APP_ENV", "test"})
	s := Script{
		Filename: filepath.Join(f.dir, "kit.php"), Name: "/kit.php", DocumentRoot: f.dir,
		PathInfo:   strings.TrimPrefix(r.URL.Path, "/kit.php"),
		ServerAddr: netip.MustParseAddrPort("192.0.2.1:443"), RemoteAddr: netip.MustParseAddrPort("192.0.2.7:4711"),
		HTTPS: true, Session: "00ff", Constant: env,
	}
	s.AddParams(p, r)
	return err
}

// request makes a request for what the kit can do.
func (f *fpm) request(t testing.TB, method, query, body string) *http.Request {
	t.Helper()
	r := newRequest(t, method, body)
	r.URL.Path, r.URL.RawQuery = "/kit.php", query
	return r
}

// do sends a request that has to succeed.
func (f *fpm) do(t testing.TB, method, query, body string) (*http.Response, string) {
	t.Helper()
	resp, got, err := roundTripAll(&f.balancer, f.request(t, method, query, body))
	if err != nil {
		t.Fatalf("%s %s: %v", method, query, err)
	}
	return resp, got
}

// file returns a file that lets a script which holds go on, and its part of a query.
func (f *fpm) file(name string) (path, query string) {
	path = filepath.Join(f.dir, name)
	return path, "&file=" + url.QueryEscape(path)
}

func touch(t testing.TB, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// readPID reads the line with which a script that holds begins.
func readPID(t testing.TB, resp *http.Response) int {
	t.Helper()
	var line []byte
	for b := make([]byte, 1); ; {
		if _, err := resp.Body.Read(b); err != nil {
			t.Fatal(err)
		}
		if b[0] == '\n' {
			break
		}
		line = append(line, b[0])
	}
	pid, err := strconv.Atoi(string(line))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
