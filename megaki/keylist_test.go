package megaki

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// rootKey returns a root key of a seed.
func rootKey(seed byte) (ed25519.PublicKey, ed25519.PrivateKey) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	return private.Public().(ed25519.PublicKey), private
}

// listOf returns a list of two keys: one until tomorrow, one from yesterday.
func listOf(t testing.TB, serial uint64) *KeyList {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	first, err := PinnedKey(&testKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	second, err := PinnedKey(&testClientKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return &KeyList{Site: "shop", Serial: serial, Expires: now.Add(time.Hour), Keys: []ListedKey{
		{Name: "2027", Public: second, From: now.Add(24 * time.Hour)},
		{Name: "2026", Public: first, Sunset: now.Add(24 * time.Hour)},
	}}
}

func sign(t testing.TB, l *KeyList, seed byte) []byte {
	t.Helper()
	_, root := rootKey(seed)
	signed, err := l.Sign(root)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestKeyList(t *testing.T) {
	root, _ := rootKey(1)
	want := listOf(t, 7)
	l, err := ParseKeyList(sign(t, want, 1), root)
	if err != nil {
		t.Fatal(err)
	}
	have, _ := json.Marshal(l)
	wanted, _ := json.Marshal(want)
	if !bytes.Equal(have, wanted) {
		t.Errorf("%s\nwant %s", have, wanted)
	}
	now := time.Now()
	if k := l.Current(now); k == nil || k.Name != "2026" {
		t.Errorf("today: %+v", k)
	} else if key, err := k.Key(); err != nil || !key.Equal(&testKey().PublicKey) {
		t.Errorf("%v, %v", key, err)
	}
	if k := l.Current(now.Add(48 * time.Hour)); k == nil || k.Name != "2027" {
		t.Errorf("in two days: %+v", k)
	}
	l.Keys = l.Keys[1:]
	if k := l.Current(now.Add(48 * time.Hour)); k != nil {
		t.Errorf("after the last sunset: %+v", k)
	}
	for _, c := range []struct {
		site   string
		serial uint64
		now    time.Time
		ok     bool
	}{
		{"", 0, now, true}, {"shop", 7, now, true}, {"shop", 6, now, true},
		{"shop", 8, now, false}, {"bank", 0, now, false}, {"shop", 0, now.Add(2 * time.Hour), false},
	} {
		if err := l.Newer(c.site, c.serial, c.now); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Any changed byte of list or signature is refused, and so is another root key.
func TestKeyListSignature(t *testing.T) {
	root, _ := rootKey(1)
	signed := sign(t, listOf(t, 7), 1)
	if _, err := ParseKeyList(sign(t, listOf(t, 7), 2), root); !errors.Is(err, ErrKeyListSignature) {
		t.Errorf("another root key: %v", err)
	}
	var parts signedList
	if err := json.Unmarshal(signed, &parts); err != nil {
		t.Fatal(err)
	}
	for i := range len(parts.List) - 4 { // the last letters may have bits that don't count
		changed := []byte(parts.List)
		changed[i] ^= 1
		p, _ := json.Marshal(signedList{string(changed), parts.Signature})
		if l, err := ParseKeyList(p, root); err == nil {
			t.Fatalf("letter %d changed: %+v", i, l)
		}
	}
	p, _ := json.Marshal(signedList{parts.List, ""})
	if _, err := ParseKeyList(p, root); !errors.Is(err, ErrKeyListSignature) {
		t.Errorf("without a signature: %v", err)
	}
	if _, err := ParseKeyList(p, nil); err != nil {
		t.Errorf("without a root key it can be shown: %v", err)
	}
}

func TestKeyListIsChecked(t *testing.T) {
	_, root := rootKey(1)
	for name, change := range map[string]func(*KeyList){
		"no site":       func(l *KeyList) { l.Site = "" },
		"no serial":     func(l *KeyList) { l.Serial = 0 },
		"no expiry":     func(l *KeyList) { l.Expires = time.Time{} },
		"no keys":       func(l *KeyList) { l.Keys = nil },
		"too many keys": func(l *KeyList) { l.Keys = make([]ListedKey, maxListedKeys+1) },
		"a short key":   func(l *KeyList) { l.Keys[0].Public = l.Keys[0].Public[1:] },
		"an even key":   func(l *KeyList) { l.Keys[0].Public[255] &^= 1 },
	} {
		l := listOf(t, 1)
		change(l)
		if _, err := l.Sign(root); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	if _, err := ParseKeyList(make([]byte, MaxKeyList+1), nil); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a large list: %v", err)
	}
}

func FuzzKeyList(f *testing.F) {
	f.Add(sign(f, listOf(f, 1), 1))
	f.Add([]byte(`{"list": "e30=", "signature": ""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ParseKeyList(data, nil)
		if err != nil {
			return
		}
		for i := range l.Keys {
			if _, err := l.Keys[i].Key(); err != nil {
				t.Errorf("key %d: %v", i, err)
			}
		}
		l.Current(time.Now())
	})
}
