package redis

import (
	"bytes"
	"strings"
	"testing"

	"mkd/internal/testserver/redisserver"
	"mkd/internal/testserver/storetest"
	"mkd/sessions"
)

func open(t testing.TB, server *redisserver.Server, secret byte) *Store {
	t.Helper()
	sealer, err := sessions.NewSealer(bytes.Repeat([]byte{secret}, sessions.MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Connection: Connection{Addresses: []string{server.Addr}}, Sealer: sealer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStore(t *testing.T) {
	server := redisserver.Start(t)
	storetest.Run(t, open(t, server, 1), open(t, server, 1))
}

// A swap that is sent again, because its response was lost, succeeds again; one with
// the same old revision doesn't.
func TestSwapIsRepeatable(t *testing.T) {
	s := open(t, redisserver.Start(t), 1)
	token := storetest.NewToken()
	storetest.Swap(t, s, token, nil, storetest.NewRecord(1))
	old := storetest.Load(t, s, token)
	next := s.sealer.Seal(token, storetest.NewRecord(2))
	run := func(sealed []byte) bool {
		ok, err := swapScript.Run(t.Context(), s.client, []string{s.key(token)},
			sessions.RevisionBytes(old.Revision), sealed, sessions.Revision(sealed), 10000).Bool()
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	for range 2 {
		if !run(next) {
			t.Error("not swapped")
		}
	}
	if run(s.sealer.Seal(token, storetest.NewRecord(3))) {
		t.Error("a lost swap succeeds")
	}
}

// What is in Redis expires there, and is neither readable nor usable without the
// secret or for another session.
func TestRecordsInRedis(t *testing.T) {
	server := redisserver.Start(t)
	s, other := open(t, server, 1), open(t, server, 2)
	token, stranger := storetest.NewToken(), storetest.NewToken()
	r := storetest.NewRecord(1)
	storetest.Swap(t, s, token, nil, r)
	if got, _ := server.Do("PTTL", "mkd:session:{"+token.String()+"}"); len(got) < 6 || strings.HasPrefix(got, ":-") {
		t.Errorf("its time to live: %s", got)
	}
	sealed, err := s.client.Get(t.Context(), s.key(token)).Bytes()
	if err != nil || bytes.Contains(sealed, r.Current.Key[:8]) {
		t.Errorf("the key is readable, %v", err)
	}
	if storetest.Load(t, other, token) != nil || other.Unreadable() != 1 {
		t.Error("opened without the secret")
	}
	if err := s.client.Set(t.Context(), s.key(stranger), sealed, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if storetest.Load(t, s, stranger) != nil {
		t.Error("a record was moved to another session")
	}
	planted := other.sealer.Seal(stranger, r)
	s.client.Set(t.Context(), s.key(stranger), planted, 0)
	if storetest.Load(t, s, stranger) != nil {
		t.Error("a record was planted")
	}
	s.client.Set(t.Context(), s.key(stranger), strings.Repeat("x", 1<<20), 0)
	if storetest.Load(t, s, stranger) != nil {
		t.Error("a mebibyte of x is a record")
	}
}

func TestOptions(t *testing.T) {
	for name, c := range map[string]Connection{
		"no address":            {},
		"cluster and sentinels": {Addresses: []string{"a:1"}, Cluster: true, Sentinel: &Sentinel{Master: "m"}},
		"cluster with a DB":     {Addresses: []string{"a:1"}, Cluster: true, DB: 1},
	} {
		if _, err := New(Options{Connection: c}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
