//go:build long

package proxy

import (
	"testing"
	"time"
)

// TestLongReload changes the configuration 50 times in 25 s.
func TestLongReload(t *testing.T) { reloads(t, 50, 500*time.Millisecond) }
