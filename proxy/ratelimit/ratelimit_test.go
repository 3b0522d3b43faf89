package ratelimit

import "testing"

// TestManyKeys: a flood of new keys doesn't free those that are limited.
func TestManyKeys(t *testing.T) {
	l := New[int](0.000001, 1)
	for i := range maxLimited + 10 {
		if l.Take(i) != 0 {
			t.Fatalf("key %d is limited at once", i)
		}
	}
	free := 0
	for i := range 1000 {
		if l.Take(i) == 0 {
			free++
		}
	}
	if free > 100 {
		t.Errorf("%d of 1000 keys that had used their limit are free again", free)
	}
}
