//go:build long

package redis

import (
	"bytes"
	"context"
	"testing"
	"time"

	"mkd/internal/testserver/redisserver"
	"mkd/internal/testserver/storetest"
	"mkd/megaki"
	"mkd/sessions"
)

// TestLongCluster: the nodes of a Cluster share the sessions, and the loss of one takes
// those of its slots alone.
func TestLongCluster(t *testing.T) {
	nodes := redisserver.Cluster(t, 3)
	sealer, err := sessions.NewSealer(bytes.Repeat([]byte{1}, sessions.MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	open := func(first int) *Store {
		s, err := New(Options{Connection: Connection{Addresses: []string{nodes[first].Addr}, Cluster: true}, Sealer: sealer})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	a, b := open(0), open(2)
	storetest.Run(t, a, b)

	tokens := make([]megaki.Token, 300)
	for i := range tokens {
		tokens[i] = storetest.NewToken()
		storetest.Swap(t, a, tokens[i], nil, storetest.NewRecord(i))
	}
	for _, node := range nodes {
		if size, err := node.Do("DBSIZE"); err != nil || size == ":0" {
			t.Errorf("a node has %s sessions, %v", size, err)
		}
	}
	nodes[1].Kill()
	lost := 0
	for i, token := range tokens {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		r, err := b.Load(ctx, token)
		cancel()
		switch {
		case err != nil:
			lost++
		case r == nil || r.Current.Key[7] != byte(i):
			t.Errorf("session %d is gone without an error", i)
		}
	}
	if lost == 0 || lost > len(tokens)/2 {
		t.Errorf("%d of %d sessions are lost", lost, len(tokens))
	}
	t.Logf("without one of three nodes %d of %d sessions can't be loaded", lost, len(tokens))
}
