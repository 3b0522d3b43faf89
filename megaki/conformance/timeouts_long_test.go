//go:build long

package conformance

import "testing"

// TestLongTimeouts plays to megaki.Client the scenarios that take seconds.
func TestLongTimeouts(t *testing.T) { passes(t, timeouts()) }
