//go:build long

package clients_test

import (
	"testing"

	"mkd/megaki/conformance"
)

// TestLongConformance plays all scenarios to each client.
func TestLongConformance(t *testing.T) {
	for _, c := range []client{pythonClient(t), jsClient(t)} {
		t.Run(c.folder, func(t *testing.T) { conforms(t, c, conformance.Scenarios()) })
	}
}
