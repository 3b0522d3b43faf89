package auth

import (
	"encoding/binary"
	"net/netip"
	"testing"
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

func TestCache(t *testing.T) {
	var c cache
	secret := []byte("secret")
	if keyOf(secret, "ab", "c") == keyOf(secret, "a", "bc") {
		t.Error("two names and passwords have one key")
	}
	for i := range 2 * maxCached {
		c.add(keyOf(secret, string(rune(i))))
	}
	if len(c.end) > maxCached {
		t.Errorf("%d are cached", len(c.end))
	}
	if c.add(keyOf(secret, "an x")); !c.has(keyOf(secret, "an x")) || c.has(keyOf(secret, "a y")) {
		t.Error("the cache has others than were added")
	}
}
