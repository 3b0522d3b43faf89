package cbc

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"testing"
)

// A library does what crypto/cipher does; without one, nothing is changed.
func TestCrypt(t *testing.T) {
	var key [32]byte
	rand.Read(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		crypt func(key *[32]byte, iv, p []byte) bool
		like  func(cipher.Block, []byte) cipher.BlockMode
	}{{"Encrypt", Encrypt, cipher.NewCBCEncrypter}, {"Decrypt", Decrypt, cipher.NewCBCDecrypter}} {
		for _, size := range []int{16, 32, 16 * 7, 16 * 8, 16 * 9, Least, Least + 16, 1<<20 + 16} {
			iv, p := make([]byte, 16), make([]byte, size)
			rand.Read(iv)
			rand.Read(p)
			want := bytes.Clone(p)
			if has {
				c.like(block, iv).CryptBlocks(want, want)
			}
			if done := c.crypt(&key, iv, p); done != has || !bytes.Equal(p, want) {
				t.Errorf("%s, %d bytes: done %t, as expected %t", c.name, size, done, bytes.Equal(p, want))
			}
		}
		for _, size := range []int{0, 1, 15, 17} {
			if c.crypt(&key, make([]byte, 16), make([]byte, size)) {
				t.Errorf("%s took %d bytes, which aren't whole blocks", c.name, size)
			}
		}
		if c.crypt(&key, make([]byte, 15), make([]byte, 16)) {
			t.Errorf("%s took a short IV", c.name)
		}
	}
}
