//go:build long

package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLongUpgrades upgrades the daemon ten times under load, and once to a binary that fails
// in between.
func TestLongUpgrades(t *testing.T) { upgrades(t, 10, "") }

// TestLongUpgradesWithAFile is the same for sessions in a file, which two processes
// can't have at once.
func TestLongUpgradesWithAFile(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("ab", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	upgrades(t, 3, fmt.Sprintf("secret_file: %s, store: {file: {path: %s}}", secret, filepath.Join(dir, "sessions.db")))
}
