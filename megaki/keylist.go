package megaki

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	// KeyListPath is where a server whose messages are HTTP requests has its list of
	// keys.
	KeyListPath = "/.well-known/megaki/keys"
	// MaxKeyList is the size of the largest signed list, in bytes.
	MaxKeyList = 64 << 10

	maxListedKeys = 32
	// keyListContext is signed in front of a list, so that no other signature of the
	// root key is one of a list.
	keyListContext = "megaki key list v1\n"
)

// ErrKeyListSignature is returned for a list that the root key didn't sign.
var ErrKeyListSignature = errors.New("the list of keys isn't signed with the root key")

// KeyList are the current and coming keys of a server. It is signed by an Ed25519 key
// that stays offline, the root key, whose public half clients are shipped with. So a
// client learns the key that it will pin one day over a connection that it trusts
// today, and nobody who has stolen a server key can make it trust another one.
type KeyList struct {
	// Site is the name of the server. A client refuses the list of another site.
	Site string `json:"site"`
	// Serial grows with each list. A client refuses one that is lower than the last.
	Serial uint64 `json:"serial"`
	// Expires is when the list is no longer valid.
	Expires time.Time `json:"expires"`
	// Keys are in the order in which a client should prefer them.
	Keys []ListedKey `json:"keys"`
}

// ListedKey is a key of a KeyList.
type ListedKey struct {
	Name string `json:"name,omitempty"`
	// Public is the key in the 260-byte form, in base64 in JSON.
	Public []byte `json:"public"`
	// From and Sunset are the days on which the key begins and ends to serve, zero if
	// that isn't announced.
	From   time.Time `json:"from,omitzero"`
	Sunset time.Time `json:"sunset,omitzero"`
}

// Key returns the public key.
func (k *ListedKey) Key() (*rsa.PublicKey, error) { return ParsePublicKey(k.Public) }

// signedList is a list as it is sent: the signature is over the bytes of the list.
type signedList struct {
	List      string `json:"list"`      // base64
	Signature string `json:"signature"` // base64
}

// check refuses a list that no client should use.
func (l *KeyList) check() error {
	switch {
	case l.Site == "":
		return errors.New("the list of keys has no site")
	case l.Serial == 0:
		return errors.New("the list of keys has no serial; it counts from 1")
	case l.Expires.IsZero():
		return errors.New("the list of keys doesn't expire")
	case len(l.Keys) == 0 || len(l.Keys) > maxListedKeys:
		return fmt.Errorf("the list has %d keys; want 1 to %d", len(l.Keys), maxListedKeys)
	}
	for i := range l.Keys {
		if len(l.Keys[i].Public) != pinnedKeySize {
			return fmt.Errorf("key %d of the list has %d bytes; want %d", i, len(l.Keys[i].Public), pinnedKeySize)
		}
		if _, err := unpackKey(l.Keys[i].Public); err != nil {
			return fmt.Errorf("key %d of the list: %w", i, err)
		}
	}
	return nil
}

// Sign returns the list as a server sends it, signed with the root key.
func (l *KeyList) Sign(root ed25519.PrivateKey) ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	list, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	signature := ed25519.Sign(root, append([]byte(keyListContext), list...))
	signed, err := json.MarshalIndent(signedList{base64.StdEncoding.EncodeToString(list), base64.StdEncoding.EncodeToString(signature)}, "", "  ")
	if err != nil {
		return nil, err
	}
	if signed = append(signed, '\n'); len(signed) > MaxKeyList {
		return nil, fmt.Errorf("the list of keys is too large: %d bytes", len(signed))
	}
	return signed, nil
}

// ParseKeyList reads a signed list. Without a root key the signature isn't checked:
// such a list can be shown, and nothing of it may be trusted. Whether it has expired,
// is of the right site, and newer than the last, is left to the caller; see
// KeyList.Newer.
func ParseKeyList(data []byte, root ed25519.PublicKey) (*KeyList, error) {
	if len(data) > MaxKeyList {
		return nil, fmt.Errorf("the list of keys has %d bytes; want %d at most", len(data), MaxKeyList)
	}
	var signed signedList
	if err := json.Unmarshal(data, &signed); err != nil {
		return nil, fmt.Errorf("reading the list of keys: %w", err)
	}
	list, err := base64.StdEncoding.DecodeString(signed.List)
	if err != nil {
		return nil, fmt.Errorf("reading the list of keys: %w", err)
	}
	if root != nil {
		signature, err := base64.StdEncoding.DecodeString(signed.Signature)
		if err != nil || !ed25519.Verify(root, append([]byte(keyListContext), list...), signature) {
			return nil, ErrKeyListSignature
		}
	}
	l := new(KeyList)
	decoder := json.NewDecoder(bytes.NewReader(list))
	if err := decoder.Decode(l); err != nil {
		return nil, fmt.Errorf("reading the list of keys: %w", err)
	}
	return l, l.check()
}

// Newer returns an error unless a client may use the list that now knows a site's list
// with a serial, 0 for none.
func (l *KeyList) Newer(site string, serial uint64, now time.Time) error {
	switch {
	case site != "" && l.Site != site:
		return fmt.Errorf("the list of keys is for the site %q, not %q", l.Site, site)
	case l.Serial < serial:
		return fmt.Errorf("the list of keys has serial %d, the last had %d: an old list was put back", l.Serial, serial)
	case !now.Before(l.Expires):
		return fmt.Errorf("the list of keys expired on %s", l.Expires.UTC().Format(time.DateOnly))
	}
	return nil
}

// Current returns the key that a client should pin: the first of the list that serves
// now and is not at its sunset. It is nil if there is none.
func (l *KeyList) Current(now time.Time) *ListedKey {
	for i := range l.Keys {
		k := &l.Keys[i]
		if !now.Before(k.From) && (k.Sunset.IsZero() || now.Before(k.Sunset)) {
			return k
		}
	}
	return nil
}
