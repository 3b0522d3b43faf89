package keys

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"os"

	"mkd/config"
	"mkd/megaki"
	"mkd/megaki/privatekey"
)

// Key is a key of a Megaki listener.
type Key struct {
	config.Key
	ID      megaki.KeyID
	Public  *rsa.PublicKey
	Private crypto.Decrypter // nil if the private half is offline
}

// Label returns what people call the key: its name, or the beginning of its
// fingerprint.
func (k *Key) Label() string {
	if k.Name != "" {
		return k.Name
	}
	return k.ID.Short()
}

// Load reads the keys of a listener.
func Load(m *config.Megaki) ([]Key, error) {
	passphrase, err := readPassphrase(m)
	if err != nil {
		return nil, err
	}
	list := make([]Key, len(m.Keys))
	for i := range m.Keys {
		k := &list[i]
		k.Key = m.Keys[i]
		path := k.File
		if path == "" {
			path = k.Key.Public
		}
		if err := k.load(passphrase); err != nil {
			return nil, fmt.Errorf("server key %s: %w", path, err)
		}
	}
	return list, nil
}

func readPassphrase(m *config.Megaki) ([]byte, error) {
	if m.KeyPassphraseFile == "" {
		return nil, nil
	}
	data, err := os.ReadFile(m.KeyPassphraseFile)
	if err != nil {
		return nil, fmt.Errorf("reading the passphrase: %w", err)
	}
	if data = bytes.TrimRight(data, "\r\n"); len(data) == 0 {
		return nil, fmt.Errorf("the passphrase in %s is empty; write it there, or leave key_passphrase_file out", m.KeyPassphraseFile)
	}
	return data, nil
}

// load reads the key from its file.
func (k *Key) load(passphrase []byte) error {
	if k.File == "" {
		data, err := os.ReadFile(k.Key.Public)
		if err != nil {
			return err
		}
		if k.Public, err = megaki.ParsePublicKey(data); err != nil {
			return err
		}
		k.ID, err = megaki.IDOf(k.Public)
		return err
	}
	data, err := os.ReadFile(k.File)
	if err != nil {
		return err
	}
	private, err := megaki.ParsePrivateKey(data, passphrase)
	if errors.Is(err, megaki.ErrPassphrase) {
		return fmt.Errorf("%w; set key_passphrase_file", err)
	}
	if err != nil {
		return err
	}
	k.Public = &private.PublicKey
	if k.ID, err = megaki.IDOf(k.Public); err != nil {
		return err
	}
	k.Private, err = privatekey.New(private)
	return err
}
