package redis

import (
	"testing"

	"mkd/internal/testserver/redisserver"
	"mkd/internal/testserver/storetest"
	"mkd/megaki"
)

// Redis learns which sessions are in use. It counts uses under the policy that this test
// sets; under that which the docs recommend it keeps their time.
func TestUses(t *testing.T) {
	server := redisserver.Start(t)
	if got, err := server.Do("CONFIG", "SET", "maxmemory-policy", "volatile-lfu"); err != nil || got != "+OK" {
		t.Fatal(got, err)
	}
	s := open(t, server, 1)
	busy, idle, gone := storetest.NewToken(), storetest.NewToken(), storetest.NewToken()
	storetest.Swap(t, s, busy, nil, storetest.NewRecord(1))
	storetest.Swap(t, s, idle, nil, storetest.NewRecord(1))
	count := func(token megaki.Token) string {
		got, err := server.Do("OBJECT", "FREQ", s.key(token))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	before, other := count(busy), count(idle)
	s.Touch(busy)
	s.Touch(gone)
	s.touchUsed()
	if after := count(busy); after == before {
		t.Errorf("a session in use counts %s as before", after)
	}
	if after := count(idle); after != other {
		t.Errorf("an idle session counts %s, before %s", after, other)
	}
	if got, _ := server.Do("EXISTS", s.key(gone)); got != ":0" {
		t.Errorf("a session that Redis had forgotten: %s", got)
	}

	before = count(busy)
	s.touchUsed()
	if after := count(busy); after != before {
		t.Errorf("a use was reported twice: %s, before %s", after, before)
	}

	for range maxUses + 1 {
		s.Touch(storetest.NewToken())
	}
	if n := len(s.uses.take()); n != maxUses {
		t.Errorf("%d uses are kept, want %d", n, maxUses)
	}
}
