package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestVectorsAreGenerated fails if the files are not what the generator writes.
func TestVectorsAreGenerated(t *testing.T) {
	for name, f := range files() {
		have, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, encode(f)) {
			t.Errorf("%s differs: go run ./vectors/generate", name)
		}
	}
	have, err := filepath.Glob("../v1/*.json")
	if err != nil || len(have) != len(files()) {
		t.Errorf("%d files, the generator writes %d: %v", len(have), len(files()), err)
	}
}

// TestVectorsCoverFailures: each failure of README.md has its vectors.
func TestVectorsCoverFailures(t *testing.T) {
	count := map[string]int{}
	for name, f := range files() {
		names := map[string]bool{}
		for _, v := range f.Tests {
			if names[v.Name] {
				t.Errorf("%s: two tests %q", name, v.Name)
			}
			names[v.Name] = true
			count[v.Expect]++
			for _, s := range v.Steps {
				count[s.Expect]++
			}
		}
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for expect := range count {
		if expect != "" && !bytes.Contains(readme, []byte("`"+expect+"`")) {
			t.Errorf("README.md doesn't explain %q", expect)
		}
	}
	for _, expect := range []string{"ok", "malformed", "incomplete", "too-long", "crypto", "replay", "bad-key", "version", "server-error", "handshake-needed", "req-rehs", "closed"} {
		if count[expect] == 0 {
			t.Errorf("no vector expects %q", expect)
		}
	}
}

// TestRecordedFlow holds the generator's own cryptography against the recording
// of the reference implementation.
func TestRecordedFlow(t *testing.T) {
	data, err := os.ReadFile("../v1-flow.json")
	if err != nil {
		t.Fatal(err)
	}
	var flow struct {
		Handshake struct {
			Packets         []struct{ Hex recordedHex }
			EphemeralKey    recordedHex `json:"ephemeral_key"`
			ServerSymmetric recordedHex `json:"server_symmetric"`
			MasterKey       recordedHex `json:"master_key"`
		}
		Messages []struct {
			Request recordedHex
			Packets []struct{ Hex recordedHex }
		}
	}
	if err := json.Unmarshal(data, &flow); err != nil {
		t.Fatal(err)
	}
	h := &flow.Handshake
	ack := []byte(h.Packets[2].Hex)
	if !bytes.Equal(mac(h.EphemeralKey, ack[54:]), ack[6:38]) {
		t.Error("MAC of the recorded ACK")
	}
	synAck := []byte(h.Packets[1].Hex)
	if !bytes.Equal(mac(h.EphemeralKey, synAck[54:]), synAck[6:38]) {
		t.Error("MAC of the recorded SYN-ACK")
	}
	for i, m := range flow.Messages {
		p := []byte(m.Packets[0].Hex)
		n := len(m.Request) &^ 15 // whole blocks; the rest is random padding
		if !bytes.Equal(mac(h.MasterKey, p[58:]), p[26:58]) || !bytes.Equal(cbc(h.MasterKey, p[58:74], slices.Clone(m.Request[:n])), p[74:74+n]) {
			t.Errorf("recorded message %d", i)
		}
	}
}

type recordedHex []byte

func (h *recordedHex) UnmarshalJSON(p []byte) error {
	var s string
	if err := json.Unmarshal(p, &s); err != nil {
		return err
	}
	b, err := hex.DecodeString(s)
	*h = b
	return err
}
