//go:build long

package php

import (
	"testing"
	"time"
)

// TestLongReplace replaces all workers every second for half a minute.
func TestLongReplace(t *testing.T) { replaceUnderLoad(t, 30, time.Second) }

// TestLongStorm is TestStorm for half a minute.
func TestLongStorm(t *testing.T) { storm(t, 30*time.Second) }

// TestLongAsFPM is TestAsFPM with bodies of 100 MiB.
func TestLongAsFPM(t *testing.T) { compareWithFPM(t, 100) }

// TestLongClientsNeverMix is TestClientsNeverMix with 10,000 requests.
func TestLongClientsNeverMix(t *testing.T) { mixClients(t, 10_000) }
