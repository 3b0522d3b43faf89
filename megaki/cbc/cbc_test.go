package cbc

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"testing"
)

// A library decrypts as crypto/cipher does; without one, nothing is changed.
func TestDecrypt(t *testing.T) {
	var key [32]byte
	rand.Read(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{16, 32, 16 * 7, 16 * 8, 16 * 9, Least, Least + 16, 1<<20 + 16} {
		iv, p := make([]byte, 16), make([]byte, size)
		rand.Read(iv)
		rand.Read(p)
		want := bytes.Clone(p)
		if has {
			cipher.NewCBCDecrypter(block, iv).CryptBlocks(want, want)
		}
		if done := Decrypt(&key, iv, p); done != has || !bytes.Equal(p, want) {
			t.Errorf("%d bytes: done %t, as expected %t", size, done, bytes.Equal(p, want))
		}
	}
	for _, size := range []int{0, 1, 15, 17} {
		if Decrypt(&key, make([]byte, 16), make([]byte, size)) {
			t.Errorf("%d bytes, which aren't whole blocks, were decrypted", size)
		}
	}
	if Decrypt(&key, make([]byte, 15), make([]byte, 16)) {
		t.Error("decrypted with a short IV")
	}
}
