//go:build long

package clients_test

import (
	"os/exec"
	"strings"
	"testing"

	"mkd/megaki/conformance"
)

// TestLongConformance plays all scenarios to each client.
func TestLongConformance(t *testing.T) {
	for _, c := range []client{pythonClient(t), jsClient(t), phpClient(t)} {
		t.Run(c.folder, func(t *testing.T) { conforms(t, c, conformance.Scenarios()) })
	}
}

// TestLongTypes checks the types of the clients: TypeScript's of a program that uses
// all of them, Python's of the package itself.
func TestLongTypes(t *testing.T) {
	needs(t, "tsc", "node-typescript")
	needs(t, "mypy", "mypy")
	for _, args := range [][]string{
		{"tsc", "--noEmit", "--strict", "--target", "es2022", "--module", "es2022", "--moduleResolution", "node", "js/test/types.ts"},
		{"mypy", "--strict", "--cache-dir", "/dev/null", "python/src/megaki"},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
