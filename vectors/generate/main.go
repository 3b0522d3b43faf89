// Command generate writes the test vectors of Megaki v1 to the folder above its
// own: `go run ./vectors/generate` from the top of the repository.
//
// It does not use package megaki. It makes packets from the page about the
// protocol alone, so that a fault of the package does not get into the vectors.
// What the protocol draws at random comes from a fixed seed, so every run writes
// the same files.
package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// file is one file of vectors.
type file struct {
	Description string            `json:"description"`
	Protocol    hexBytes          `json:"protocol"`
	Keys        map[string]string `json:"keys,omitempty"`
	Tests       []test            `json:"tests"`
}

// test is one vector. README.md explains the fields of each operation.
type test struct {
	Name      string `json:"name"`
	Comment   string `json:"comment,omitempty"`
	Operation string `json:"operation"`
	Expect    string `json:"expect,omitempty"`

	State string   `json:"state,omitempty"`
	Side  string   `json:"side,omitempty"`
	Limit int      `json:"limit,omitempty"`
	Size  int      `json:"size,omitempty"`
	Code  hexBytes `json:"code,omitempty"`

	Packet          hexBytes `json:"packet,omitempty"`
	Modulus         hexBytes `json:"modulus,omitempty"`
	Exponent        hexBytes `json:"exponent,omitempty"`
	EphemeralKey    hexBytes `json:"ephemeral_key,omitempty"`
	Version         hexBytes `json:"version,omitempty"`
	Token           hexBytes `json:"token,omitempty"`
	ServerSymmetric hexBytes `json:"server_symmetric,omitempty"`
	ClientSymmetric hexBytes `json:"client_symmetric,omitempty"`
	Key             hexBytes `json:"key,omitempty"`
	ClientAugment   hexBytes `json:"client_augment,omitempty"`
	ServerAugment   hexBytes `json:"server_augment,omitempty"`
	NewKey          hexBytes `json:"new_key,omitempty"`
	Plaintext       hexBytes `json:"plaintext,omitempty"`

	Steps []step `json:"steps,omitempty"`
}

// step is one step of a test that has several.
type step struct {
	Comment    string   `json:"comment,omitempty"`
	Connection int      `json:"connection,omitempty"`
	Packet     hexBytes `json:"packet,omitempty"`
	Sent       bool     `json:"sent,omitempty"`
	Random     hexBytes `json:"random,omitempty"`
	Expect     string   `json:"expect"`
	Plaintext  hexBytes `json:"plaintext,omitempty"`
	Key        hexBytes `json:"key,omitempty"`
}

type hexBytes []byte

func (h hexBytes) MarshalJSON() ([]byte, error) { return json.Marshal(hex.EncodeToString(h)) }

// files returns all files by their names.
func files() map[string]file {
	return map[string]file{
		"v1/keys.json":       keyVectors(),
		"v1/frames.json":     frameVectors(),
		"v1/handshake.json":  handshakeVectors(),
		"v1/messages.json":   messageVectors(),
		"v1/resumption.json": resumptionVectors(),
		"v1/replays.json":    replayVectors(),
		"v1/server.json":     serverVectors(),
	}
}

func encode(f file) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(f); err != nil {
		panic(err) // hex and text are always JSON
	}
	return out.Bytes()
}

func write(dir string) error {
	for name, f := range files() {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, encode(f), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	dir := flag.String("dir", "vectors", "where to write")
	flag.Parse()
	if err := write(*dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
