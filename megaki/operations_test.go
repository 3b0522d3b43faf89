package megaki

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
)

// garbageSYN is a SYN whose blocks are encrypted to nobody.
func garbageSYN() *synPacket {
	p := new(synPacket)
	copy(p[:], bytes.Repeat([]byte{0x5A}, len(p)))
	putHeader(p[:], typeSYN)
	return p
}

// TestPrivateOperationsOfASYN: garbage cost two private operations a key,
// because block 1 was decrypted whatever became of block 0.
func TestPrivateOperationsOfASYN(t *testing.T) {
	genuine, _ := newSYN(t, nil)
	badHash := *genuine
	badHash.hash()[0] ^= 1
	badBlock1 := *genuine
	badBlock1.block1()[0] ^= 1
	short := *genuine
	if err := encryptOAEP(short.block0(), &testKey().PublicKey, make([]byte, 213)); err != nil {
		t.Fatal(err)
	}
	other := testClientKey()
	for _, c := range []struct {
		name string
		syn  *synPacket
		keys []*rsa.PrivateKey
		want int
		ok   bool
	}{
		{"garbage", garbageSYN(), []*rsa.PrivateKey{testKey()}, 1, false},
		{"garbage, three keys", garbageSYN(), []*rsa.PrivateKey{other, testKey(), other}, 3, false},
		{"genuine", genuine, []*rsa.PrivateKey{testKey()}, 2, true},
		{"genuine, the third of three keys", genuine, []*rsa.PrivateKey{other, other, testKey()}, 4, true},
		{"genuine, the first of three keys", genuine, []*rsa.PrivateKey{testKey(), other, other}, 2, true},
		{"wrong hash, the first of three keys", &badHash, []*rsa.PrivateKey{testKey(), other, other}, 2, false},
		{"wrong block 1", &badBlock1, []*rsa.PrivateKey{testKey(), other}, 2, false},
		{"block 0 of 213 bytes", &short, []*rsa.PrivateKey{testKey(), other}, 2, false},
	} {
		n := 0
		_, _, _, err := openSYN(c.syn, serverKeys(c.keys...), func(key crypto.Decrypter, block []byte) ([]byte, error) {
			n++
			return decryptOAEP(key, block)
		})
		if n != c.want || (err == nil) != c.ok || err != nil && !errors.Is(err, errCrypto) {
			t.Errorf("%s: %d private operations, %v; want %d", c.name, n, err, c.want)
		}
	}
}

// TestMACsOfARSTOR: a RSTOR costs the same number of MACs whether its token is
// known or not, and whichever key it is under.
func TestMACsOfARSTOR(t *testing.T) {
	keys := make([]SessionKey, 1+MaxPending)
	for i := range keys {
		keys[i].Key[0] = byte(i + 1)
	}
	for name, record := range map[string]*Record{
		"unknown token": nil,
		"one key":       {Current: keys[0]},
		"two keys":      {Current: keys[0], Pending: keys[1:2]},
		"all keys":      {Current: keys[0], Pending: keys[1:]},
		"no more RSTOR": {Current: keys[0], Resumes: make([][8]byte, MaxResumes)},
	} {
		for under := range 2 + MaxPending { // the last is no key of any record
			m := sealed(newBox(&[symmetricKey]byte{byte(under + 1)}), typeRSTOR, make([]byte, tokenSize), make([]byte, symmetricKey))
			n := 0
			acceptResume(record, m, [symmetricKey]byte{7}, nil, func(key *[symmetricKey]byte, p msgPacket) bool {
				n++
				return verifyUnder(key, p)
			})
			if n != 1+MaxPending {
				t.Errorf("%s, under key %d: %d MACs, want %d", name, under, n, 1+MaxPending)
			}
		}
	}
}

// TestServerCountsOperations: what openSYN and acceptResume are given is what a
// server does.
func TestServerCountsOperations(t *testing.T) {
	var private, macs atomic.Int64
	s := &Server{Keys: []crypto.Decrypter{testClientKey(), testKey()}}
	s.decrypt = func(key crypto.Decrypter, block []byte) ([]byte, error) {
		private.Add(1)
		return decryptOAEP(key, block)
	}
	s.verify = func(key *[symmetricKey]byte, p msgPacket) bool {
		macs.Add(1)
		return verifyUnder(key, p)
	}
	addr := start(t, s)
	counts := func() string {
		return fmt.Sprintf("%d private operations, %d MACs", private.Swap(0), macs.Swap(0))
	}

	connect(t, addr).refusedAfter(garbageSYN()[:])
	if got := counts(); got != "2 private operations, 0 MACs" {
		t.Errorf("a SYN of garbage: %s", got)
	}
	p := established(t, addr)
	if got := counts(); got != "3 private operations, 0 MACs" {
		t.Errorf("a handshake: %s", got)
	}
	q := p.resume(addr)
	if got := counts(); q == nil || got != "0 private operations, 5 MACs" {
		t.Errorf("a RSTOR of a known token: %s", got)
	}
	q.token[0] ^= 1
	if _, resumed := q.tryResume(addr); resumed {
		t.Error("an unknown token is resumed")
	}
	if got := counts(); got != "0 private operations, 5 MACs" {
		t.Errorf("a RSTOR of an unknown token: %s", got)
	}
}
