package auth

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestFailures(t *testing.T) {
	var f failures
	a, b := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
	now := time.Now()
	for i := range maxFailures {
		if f.take(a, now) > 0 {
			t.Fatalf("attempt %d is refused", i)
		}
	}
	if after := f.take(a, now); after != failureRate {
		t.Errorf("the next is allowed after %v", after)
	}
	if f.take(b, now) > 0 {
		t.Error("another address is refused")
	}
	f.giveBack(b)
	if f.known[b] != nil {
		t.Error("an address that succeeded is remembered")
	}
	now = now.Add(failureRate)
	if f.take(a, now) > 0 || f.take(a, now) == 0 {
		t.Error("later, it isn't one attempt that is allowed")
	}
	for range 3 {
		f.giveBack(a)
	}
	for i := range 3 {
		if f.take(a, now) > 0 {
			t.Errorf("attempt %d after it succeeded is refused", i)
		}
	}
}

// TestFailuresAreBounded: a flood of addresses doesn't free one that is slowed down, but
// seldom, and the table doesn't grow.
func TestFailuresAreBounded(t *testing.T) {
	var f failures
	now := time.Now()
	for i := range maxRemember + 3000 {
		var a [16]byte
		binary.BigEndian.PutUint32(a[:], uint32(i))
		f.take(netip.PrefixFrom(netip.AddrFrom16(a), 64), now)
	}
	if n := len(f.known); n > maxRemember {
		t.Errorf("%d addresses are remembered", n)
	}
}

// TestFailuresAreForgotten: a full table forgets those that have all their attempts again,
// and only if there are none a few of the others.
func TestFailuresAreForgotten(t *testing.T) {
	number := func(i int) netip.Prefix {
		var a [16]byte
		binary.BigEndian.PutUint32(a[:], uint32(i))
		return netip.PrefixFrom(netip.AddrFrom16(a), 64)
	}
	var f failures
	now := time.Now()
	for i := range maxRemember {
		f.take(number(i), now)
	}
	for range maxFailures {
		f.take(number(0), now)
	}
	if n := len(f.known); n != maxRemember {
		t.Errorf("%d addresses are remembered, want %d", n, maxRemember)
	}
	now = now.Add(failureRate)
	f.take(number(maxRemember), now)
	if n := len(f.known); n != 2 || f.known[number(0)] == nil {
		t.Errorf("%d addresses are remembered, want the one that is slowed down and the new one", n)
	}
	for i := range maxRemember {
		f.take(number(i), now)
	}
	if n := len(f.known); n < maxRemember-maxRemember/64 || n > maxRemember {
		t.Errorf("%d addresses are remembered: too many were forgotten", n)
	}
}

// TestCacheTime: a password counts for a while after it was last used.
func TestCacheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cache
		key := keyOf(nil, "ann")
		c.add(key)
		time.Sleep(cacheTime - 1)
		if !c.has(key) {
			t.Error("it is forgotten too early")
		}
		time.Sleep(cacheTime - 1)
		if !c.has(key) {
			t.Error("it is forgotten though it was used")
		}
		time.Sleep(cacheTime)
		if c.has(key) {
			t.Error("it is never forgotten")
		}
	})
}

func TestCache(t *testing.T) {
	var c cache
	secret := []byte("secret")
	if keyOf(secret, "ab", "c") == keyOf(secret, "a", "bc") {
		t.Error("two names and passwords have one key")
	}
	for i := range 2 * maxCached {
		c.add(keyOf(secret, string(rune(i))))
	}
	if n := len(c.end); n > maxCached || n < maxCached-maxCached/64 {
		t.Errorf("%d are cached", len(c.end))
	}
	if c.add(keyOf(secret, "an x")); !c.has(keyOf(secret, "an x")) || c.has(keyOf(secret, "a y")) {
		t.Error("the cache has others than were added")
	}
}
