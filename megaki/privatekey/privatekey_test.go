package privatekey

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"io"
	"strings"
	"sync"
	"testing"
)

var oaep = &rsa.OAEPOptions{Hash: crypto.SHA1}

func testKey(t testing.TB) (*rsa.PrivateKey, crypto.Decrypter) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, d
}

func encrypt(t testing.TB, key *rsa.PublicKey, plain []byte) []byte {
	t.Helper()
	block, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, key, plain, nil)
	if err != nil {
		t.Fatal(err)
	}
	return block
}

// TestAsCryptoRSA compares the results with those of crypto/rsa: for plaintexts of
// every length, and for what isn't a ciphertext of the key.
func TestAsCryptoRSA(t *testing.T) {
	key, d := testKey(t)
	if !key.PublicKey.Equal(d.Public()) {
		t.Error("another public key")
	}
	for n := range 214 + 1 {
		want := bytes.Repeat([]byte{byte(n)}, n)
		if got, err := d.Decrypt(nil, encrypt(t, &key.PublicKey, want), oaep); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: %x, %v", n, got, err)
		}
	}
	other, _ := testKey(t)
	good := encrypt(t, &key.PublicKey, []byte("plain"))
	for name, block := range map[string][]byte{
		"nothing": nil, "zeros": make([]byte, 256), "short": good[:255], "long": append(good[:256:256], 0),
		"above the modulus": bytes.Repeat([]byte{0xff}, 256), "of another key": encrypt(t, &other.PublicKey, []byte("plain")),
	} {
		got, err := d.Decrypt(nil, block, oaep)
		want, wantErr := key.Decrypt(nil, block, oaep)
		if (err == nil) != (wantErr == nil) || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, %v; crypto/rsa: %x, %v", name, got, err, want, wantErr)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if got, err := d.Decrypt(nil, bad, oaep); err == nil {
			t.Errorf("byte %d changed: %x", i, got)
		}
	}
}

func TestConcurrent(t *testing.T) {
	key, d := testKey(t)
	block := encrypt(t, &key.PublicKey, []byte("plain"))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got, err := d.Decrypt(nil, block, oaep); err != nil || string(got) != "plain" {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

// wrong is a library that computes wrong results.
type wrong struct{ crypto.Decrypter }

func (w wrong) Decrypt(r io.Reader, block []byte, o crypto.DecrypterOpts) ([]byte, error) {
	p, err := w.Decrypter.Decrypt(r, block, o)
	if len(p) > 0 {
		p[0]++
	}
	return p, err
}

func TestCheck(t *testing.T) {
	key, d := testKey(t)
	if err := check(key, wrong{d}); err == nil || !strings.Contains(err.Error(), "wrong results") {
		t.Error(err)
	}
	other, _ := testKey(t)
	if err := check(other, d); err == nil {
		t.Error("another key passed the check")
	}
	if Library() == "" {
		t.Error("no name")
	}
}

// BenchmarkDecrypt is one private operation; a handshake takes two.
func BenchmarkDecrypt(b *testing.B) {
	key, d := testKey(b)
	block := encrypt(b, &key.PublicKey, bytes.Repeat([]byte("x"), 214))
	b.Log(Library())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Decrypt(nil, block, oaep); err != nil {
			b.Fatal(err)
		}
	}
}
