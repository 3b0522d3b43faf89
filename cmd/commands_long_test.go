//go:build long

package cmd

import (
	"testing"
	"time"
)

// TestLongCommands runs the scripts that take minutes.
func TestLongCommands(t *testing.T) { runScripts(t, "testdata/long") }

// TestLongIdleSessions: 1,000 sessions that were idle for a minute still get
// responses.
func TestLongIdleSessions(t *testing.T) { idleSessions(t, 1000, time.Minute) }
