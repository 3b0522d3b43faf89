package listener

import (
	"testing"
	"time"

	"mkd/config"
)

// wide has limits that tests don't reach.
var wide = config.Web{
	HeaderTimeout: time.Minute, BodyTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: time.Minute,
	MaxHeader: 64 << 10, MaxFields: 100, MaxConnections: 100, MaxRequests: 100, MaxStreams: 100,
}

// opened makes a listener and serves it. What Serve returns is sent.
func opened(t *testing.T, c *config.Listener, d *Daemon) (*Listener, <-chan error) {
	t.Helper()
	made, err := New(c, d)
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Open(nil); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- made.Serve() }()
	return made, served
}
