package megaki

import (
	"crypto"
	"crypto/rsa"

	"mkd/share"
)

// serverKeys returns keys in the form in which a server has them.
func serverKeys(keys ...*rsa.PrivateKey) []*serverKey {
	var list []crypto.Decrypter
	for _, key := range keys {
		list = append(list, key)
	}
	made, err := newServerKeys(list, nil)
	if err != nil {
		panic(err)
	}
	return made
}

// acceptResume is the only attempt to resume a session.
func acceptResume(record *Record, p msgPacket, augment [symmetricKey]byte, client *share.Client, verify verifyFunc) (resumption, bool) {
	a := resumeAttempt{augment: augment, client: client, verify: verify}
	return a.accept(record, p)
}
