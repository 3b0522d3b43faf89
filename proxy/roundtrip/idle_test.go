package roundtrip

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// testConn sends its name when it is discarded.
type testConn struct {
	name      string
	discarded chan<- string
}

func (c testConn) Discard() { c.discarded <- c.name }

func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Idle[testConn]
		discarded := make(chan string, 10)
		put := func(name string, wait time.Duration) {
			now := time.Now()
			p.Put(Kept[testConn]{testConn{name, discarded}, now, now.Add(wait)}, 3)
		}
		check := func(what string, n int, want ...string) {
			t.Helper()
			synctest.Wait()
			var got []string
			for len(discarded) > 0 {
				got = append(got, <-discarded)
			}
			if p.Len() != n || !slices.Equal(got, want) {
				t.Errorf("%s: %d are kept, %q were discarded; want %d, %q", what, p.Len(), got, n, want)
			}
		}
		take := func(oldest bool, want string) {
			t.Helper()
			k, ok := p.Take(time.Now(), oldest)
			if k.Conn.name != want || ok != (want != "") {
				t.Errorf("got %q, %v; want %q", k.Conn.name, ok, want)
			}
		}
		take(false, "")
		for _, name := range []string{"a", "b", "c", "d"} {
			put(name, time.Minute)
		}
		check("at the limit", 3, "a")
		take(false, "d")
		take(true, "b")
		check("after two were taken", 1)

		put("short", time.Second)
		time.Sleep(999 * time.Millisecond)
		check("before the time", 2)
		time.Sleep(time.Millisecond)
		check("at the time of the shorter", 1, "short")
		time.Sleep(time.Minute)
		check("at the time of the longer", 0, "c")

		put("e", time.Second)
		if k, ok := p.Take(time.Now().Add(time.Second), false); ok {
			t.Errorf("%q was taken when it was due", k.Conn.name)
		}
		check("due, and not swept yet", 0, "e")

		put("f", time.Minute)
		put("g", time.Minute)
		p.Discard(func(c testConn) bool { return c.name == "f" })
		check("after Discard", 1, "f")
		time.Sleep(time.Minute)
		check("after all", 0, "g")
	})
}
