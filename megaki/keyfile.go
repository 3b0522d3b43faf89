package megaki

import (
	"errors"
	"fmt"
	"os"
)

// CreateKeyFiles makes a server key and writes it to three files: path, the
// private key (PKCS#8 in PEM, mode 0600); path.pub, the public key in PEM; and
// path.cert, the public key in the 260 bytes that libsazukari reads. It fails,
// and leaves nothing behind, if one of them exists.
func CreateKeyFiles(path string) error {
	key, err := GenerateKey()
	if err != nil {
		return err
	}
	private, err := MarshalPrivateKey(key)
	if err != nil {
		return err
	}
	public, err := MarshalPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	pinned, err := PinnedKey(&key.PublicKey)
	if err != nil {
		return err
	}
	files := []struct {
		name string
		data []byte
		mode os.FileMode
	}{{path, private, 0o600}, {path + ".pub", public, 0o644}, {path + ".cert", pinned, 0o644}}
	for i, f := range files {
		if err := createFile(f.name, f.data, f.mode); err != nil {
			for _, made := range files[:i] {
				os.Remove(made.name)
			}
			return err
		}
	}
	return nil
}

// createFile writes a file that doesn't exist yet.
func createFile(name string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s exists: a key is never overwritten; move it away, or choose another name", name)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		os.Remove(name)
	}
	return err
}
