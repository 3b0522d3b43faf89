package backend

import (
	"testing"
	"time"
)

func TestOverdueGRPC(t *testing.T) {
	for _, c := range []struct {
		field string
		after time.Duration
		want  bool
	}{
		{"", time.Hour, false},
		{"100m", 100 * time.Millisecond, true},
		{"100m", 99 * time.Millisecond, false},
		{"1S", time.Second, true},
		{"2M", time.Minute, false},
		{"99999999H", time.Hour, false},
		{"5u", time.Millisecond, true},
		{"0n", 0, true},
		{"1", time.Hour, false},
		{"S", time.Hour, false},
		{"-1S", time.Hour, false},
		{"1s", time.Hour, false},
		{"999999999S", time.Hour, false}, // nine digits
	} {
		if got := overdueGRPC(c.field, c.after); got != c.want {
			t.Errorf("%q after %v: %v", c.field, c.after, got)
		}
	}
}
