package service

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"mkd/proxy"
)

// TestReadyAfterUpgrade: a process that stops isn't ready. One that another has taken over
// from may still have a connection that asks for /readyz: then mkd is ready, by the other.
func TestReadyAfterUpgrade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("listeners: {web: {http: {address: '127.0.0.1:0'}}}\nroutes: [{respond: {body: ok}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := read(file)
	if err != nil {
		t.Fatal(err)
	}
	logs, err := proxy.NewLogs(cfg.Log, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	s := &service{file: file}
	if s.daemon, err = proxy.New(cfg, logs); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	if err := s.daemon.Run(ctx, func() error { stop(); return nil }); err != nil {
		t.Fatal(err)
	}
	if why := s.Status().NotReady; len(why) == 0 {
		t.Error("a process that stops is ready")
	}
	s.upgraded.Store(true)
	if why := s.Status().NotReady; len(why) > 0 {
		t.Errorf("after an upgrade: %q", why)
	}
}
