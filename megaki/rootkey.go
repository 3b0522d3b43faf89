package megaki

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// CreateRootKeyFiles makes a root key, which signs lists of keys, and writes it to two
// files: path, the private key (Ed25519, PKCS#8 in PEM, mode 0600), and path.pub, the
// public key in PEM. It fails, and leaves nothing behind, if one of them exists.
func CreateRootKeyFiles(path string) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	publicDER, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return err
	}
	if err := createFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER}), 0o600); err != nil {
		return err
	}
	if err := createFile(path+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER}), 0o644); err != nil {
		os.Remove(path)
		return err
	}
	return nil
}

// ParseRootKey reads a private root key from PEM: Ed25519 in PKCS#8.
func ParseRootKey(data []byte) (ed25519.PrivateKey, error) {
	block, err := findPEM(data, "PRIVATE KEY")
	if err != nil {
		return nil, fmt.Errorf("%w; make it with mkd keygen --root", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the root key: %w", err)
	}
	root, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a %T, an Ed25519 key is needed; make it with mkd keygen --root", key)
	}
	return root, nil
}

// ParseRootPublicKey reads a public root key from PEM.
func ParseRootPublicKey(data []byte) (ed25519.PublicKey, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("no PEM of a public key found")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the root key: %w", err)
	}
	root, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a %T, an Ed25519 key is needed", key)
	}
	return root, nil
}
