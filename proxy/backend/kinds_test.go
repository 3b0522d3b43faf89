package backend

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"mkd/config"
	"mkd/proxy/balance"
	"mkd/proxy/forward"
)

// TestEveryKind: each kind of config.yaml has a row in the table, which builds it, and no
// other one has.
func TestEveryKind(t *testing.T) {
	if rows, sections := slices.Sorted(maps.Keys(kinds)), slices.Sorted(slices.Values(config.BackendKinds())); !slices.Equal(rows, sections) {
		t.Errorf("the table of kinds has the rows %v, config.yaml the sections %v", rows, sections)
	}
}

// TestIdleConnectionsOfUpstreams: the balancer of each kind can close the connections that are
// kept to a server, for a request that is repeated there.
func TestIdleConnectionsOfUpstreams(t *testing.T) {
	cfg := loadBackends(t, t.TempDir(), `  http1: {http: {upstreams: [{url: "http://127.0.0.1:1"}]}}
  http2: {http: {upstreams: [{url: "h2c://127.0.0.1:1"}]}}
  fpm: {fastcgi: {addresses: ["127.0.0.1:1"], root: .}}
`)
	for i := range cfg.Backends {
		b, err := New(&cfg.Backends[i], Daemon{Logger: slog.New(slog.DiscardHandler), Spool: forward.NewSpool(&cfg.Limits.Spool)})
		if err != nil {
			t.Fatal(err)
		}
		var upstreams []*balance.Upstream
		switch b := b.(type) {
		case *httpBackend:
			upstreams = b.balancer.Upstreams
		case *fastcgiBackend:
			upstreams = b.balancer.Upstreams
		}
		for _, u := range upstreams {
			if _, ok := u.Transport.(interface{ CloseIdleConnections() }); !ok {
				t.Errorf("%s: the balancer can't close the connections to %s", cfg.Backends[i].Name, u.Name)
			}
		}
		if len(upstreams) != 1 {
			t.Errorf("%s: %d upstreams", cfg.Backends[i].Name, len(upstreams))
		}
	}
}

// TestNoKind: a section that isn't of exactly one kind makes no backend.
func TestNoKind(t *testing.T) {
	for _, b := range []*config.Backend{{Name: "none"}, {Name: "two", Files: new(config.Files), PHP: new(config.PHP)}} {
		if _, err := New(b, Daemon{}); err == nil || !strings.HasPrefix(err.Error(), "it must have one kind of php, ") {
			t.Errorf("%s: %v", b.Name, err)
		}
	}
}
