package keys

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mkd/config"
	"mkd/megaki"
	"mkd/megaki/privatekey"
)

// TestHandshake: a server with keys of files does handshakes by any of them, with the
// libraries that this build has for their private operations, and for large messages.
func TestHandshake(t *testing.T) {
	dir := t.TempDir()
	cfg := new(config.Megaki)
	for _, name := range []string{"first.key", "second.key"} {
		path := filepath.Join(dir, name)
		if err := megaki.CreateKeyFiles(path); err != nil {
			t.Fatal(err)
		}
		cfg.Keys = append(cfg.Keys, config.Key{File: path})
	}
	list, err := Load(cfg)
	if err != nil || len(list) != 2 {
		t.Fatalf("%d keys, %v", len(list), err)
	}
	s := &megaki.Server{
		Keys: []crypto.Decrypter{list[0].Private, list[1].Private},
		Handler: megaki.HandlerFunc(func(w *megaki.ResponseWriter, r *megaki.Request) error {
			_, err := fmt.Fprintf(w, "message %d: %s", r.Count, r.Body)
			return err
		}),
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, k := range list {
		conn, err := megaki.Dial(ctx, "tcp", l.Addr().String(), &megaki.Config{ServerKey: k.Public})
		if err != nil {
			t.Fatalf("%s, %s: %v", privatekey.Library(), k.File, err)
		}
		for i, body := range []string{"hello", strings.Repeat("x", 1<<19)} {
			if got, err := conn.RoundTrip(ctx, []byte(body)); err != nil || string(got) != fmt.Sprintf("message %d: %s", i+1, body) {
				t.Errorf("%s, %s: %.40q, %v", privatekey.Library(), k.File, got, err)
			}
		}
		conn.Close()
	}
}

// TestEmptyPassphrase: a file without a passphrase is an error for each key, so that one
// that wasn't filled isn't found out when the first key is encrypted.
func TestEmptyPassphrase(t *testing.T) {
	dir := t.TempDir()
	key, passphrase := filepath.Join(dir, "server.key"), filepath.Join(dir, "passphrase")
	if err := errors.Join(megaki.CreateKeyFiles(key), os.WriteFile(passphrase, []byte("\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	_, err := Load(&config.Megaki{Keys: []config.Key{{File: key}}, KeyPassphraseFile: passphrase})
	if want := "the passphrase in " + passphrase + " is empty; write it there, or leave key_passphrase_file out"; err == nil || err.Error() != want {
		t.Errorf("have %v\nwant %s", err, want)
	}
}
