package megaki

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// maxRefusedResumes is how many RSTORs a connection may have refused.
const maxRefusedResumes = 4

var (
	expectHello = expectation{state: "SYN or MSG-RSTOR", types: []byte{typeSYN, typeRSTOR}}
	expectACK   = expectation{state: "ACK", types: []byte{typeACK}}
)

// errCrypto is every failure of a check that a secret decides. The peer sees
// one silent close for them all; the words reach the log only.
var errCrypto = errors.New("the packet is not genuine")

// hello brings a fresh connection to a session: by a handshake, or by resuming.
// A later version of the protocol would be told here, by its first packet.
func (c *serverConn) hello(ctx context.Context) error {
	for refused := 0; ; {
		p, err := c.wire.packet(&expectHello)
		if errors.Is(err, io.EOF) {
			return errGone
		}
		if err != nil {
			return fmt.Errorf("waiting for SYN: %w", err)
		}
		if p[5] == typeSYN {
			return c.handshake(ctx, (*synPacket)(p))
		}
		resumed, err := c.resume(ctx, (*rstorPacket)(p))
		if resumed || err != nil {
			return err
		}
		if refused++; refused > maxRefusedResumes {
			return fmt.Errorf("%d MSG-RSTOR refused", refused)
		}
		var rehs [headerSize]byte
		putHeader(rehs[:], typeREQREHS)
		if err := c.wire.writePacket(rehs[:], 0); err != nil {
			return fmt.Errorf("writing REQ-REHS: %w", err)
		}
	}
}

// handshake answers a SYN and brings the handshake to its end.
func (c *serverConn) handshake(ctx context.Context, syn *synPacket) error {
	if allow := c.srv.AllowHandshake; allow != nil && !allow(c.remote.Addr()) {
		return errors.New("too many handshakes from this address")
	}
	plain, synAck, secret, err := c.answerSYN(ctx, syn)
	c.wire.release()
	if err != nil {
		return err
	}
	if err := c.wire.writePacket(synAck[:], 0); err != nil {
		return fmt.Errorf("writing SYN-ACK: %w", err)
	}
	if secret == nil {
		return fmt.Errorf("client speaks version % x of the protocol, not % x", plain.version(), version)
	}
	p, err := c.wire.packet(&expectACK)
	if err != nil {
		return fmt.Errorf("waiting for ACK: %w", err)
	}
	clientHalf, err := openACK((*ackPacket)(p), plain.ephemeral(), secret)
	if err != nil {
		return fmt.Errorf("reading ACK: %w", err)
	}
	serverHalf := [symmetricKey]byte(secret.symmetric())
	key := SessionKey{Key: derive(&serverHalf, &clientHalf), seen: newSeenMACs()}
	c.begin(Token(secret.token()), key, false)

	// The record is there before the client knows that its ACK was right, and
	// not before it was.
	record := &Record{Current: key, Expires: time.Now().Add(c.srv.sessionTTL())}
	if _, err := c.srv.sessions.CompareAndSwap(ctx, c.token, nil, record); err != nil {
		c.srv.log().Warn("session can't be resumed: the store failed", "client", c.remote, "error", err)
	}
	var ackAck [headerSize]byte
	putHeader(ackAck[:], typeACKACK)
	if err := c.wire.writePacket(ackAck[:], 0); err != nil {
		return fmt.Errorf("writing ACK-ACK: %w", err)
	}
	return nil
}

// answerSYN does the RSA work of a handshake, in a slot. With no error, and
// secret nil, the SYN-ACK tells the client that its version isn't spoken.
func (c *serverConn) answerSYN(ctx context.Context, syn *synPacket) (plain *synPlain, synAck *synAckPacket, secret *secretPlain, err error) {
	if err := c.srv.slots.acquire(ctx, clientNetwork(c.remote.Addr())); err != nil {
		return nil, nil, nil, err
	}
	defer c.srv.slots.release()
	plain, clientKey, err := openSYN(syn, c.srv.Keys, c.srv.slots)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("reading SYN: %w", err)
	}
	if [2]byte(plain.version()) != version {
		synAck, err = sealErrorSYNACK(CodeVersion, plain.ephemeral(), clientKey)
		return plain, synAck, nil, err
	}
	secret = new(secretPlain)
	rand.Read(secret[:])
	synAck, err = sealSYNACK(secret.token(), secret, plain.ephemeral(), clientKey)
	return plain, synAck, secret, err
}

// openSYN decrypts a SYN with the first of the keys that fits it, checks its
// hash and the client's key. A SYN that isn't genuine costs the same work
// whatever is wrong with it.
func openSYN(syn *synPacket, keys []*rsa.PrivateKey, s *slots) (*synPlain, *rsa.PublicKey, error) {
	for _, key := range keys {
		plain := new(synPlain)
		if !decryptSYN(plain, syn, key, s) {
			continue
		}
		clientKey, err := unpackKey(plain.publicKey())
		if err != nil {
			return nil, nil, fmt.Errorf("%w: client key: %w", errCrypto, err)
		}
		return plain, clientKey, nil
	}
	return nil, nil, fmt.Errorf("%w: not encrypted to a key of this server, or changed on the way", errCrypto)
}

// decryptSYN decrypts both blocks, side by side if a core is free, and
// compares the hash whatever came of it.
func decryptSYN(plain *synPlain, syn *synPacket, key *rsa.PrivateKey, s *slots) bool {
	var first, second []byte
	var firstErr, secondErr error
	if s != nil && s.tryAcquire() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer s.release()
			second, secondErr = decryptOAEP(key, syn.block1())
		}()
		first, firstErr = decryptOAEP(key, syn.block0())
		<-done
	} else {
		first, firstErr = decryptOAEP(key, syn.block0())
		second, secondErr = decryptOAEP(key, syn.block1())
	}
	copy(plain[:oaepMax], first)
	copy(plain[oaepMax:], second)
	plain.fold()
	sum := sha256.Sum256(plain[:])
	same := subtle.ConstantTimeCompare(sum[:], syn.hash()) == 1
	return same && firstErr == nil && secondErr == nil &&
		len(first) == oaepMax && len(second) == len(plain)-oaepMax
}

// sealSYNACK makes a SYN-ACK with an outer token and a secret inside.
func sealSYNACK(outer []byte, secret *secretPlain, ephemeral []byte, clientKey *rsa.PublicKey) (*synAckPacket, error) {
	p := new(synAckPacket)
	putHeader(p[:], typeSYNACK)
	copy(p.token(), outer)
	if err := encryptOAEP(p.block(), clientKey, secret[:]); err != nil {
		return nil, fmt.Errorf("%w: encrypting to the client's key: %w", errCrypto, err)
	}
	copy(p.mac(), newBox((*[symmetricKey]byte)(ephemeral)).authenticate(p.block()))
	return p, nil
}

// sealErrorSYNACK makes the SYN-ACK that carries an error. Of the two forms in
// the field it is the one that the reference client reads, with the code also
// where the other form has it.
func sealErrorSYNACK(code Code, ephemeral []byte, clientKey *rsa.PublicKey) (*synAckPacket, error) {
	full := code.bytes()
	var secret secretPlain
	copy(secret.token(), full[:tokenSize])
	copy(secret.symmetric(), full[:])
	return sealSYNACK(bytes.Repeat([]byte{errorMark}, tokenSize), &secret, ephemeral, clientKey)
}

// openACK checks an ACK and returns the client's half of the master key.
func openACK(ack *ackPacket, ephemeral []byte, secret *secretPlain) (half [symmetricKey]byte, err error) {
	genuine := hmac.Equal(ack.mac(), newBox((*[symmetricKey]byte)(ephemeral)).authenticate(ack.signed()))
	var plain secretPlain
	copy(plain[:], ack.ciphertext())
	newBox((*[symmetricKey]byte)(secret.symmetric())).decrypt(ack.iv(), plain[:])
	outer := subtle.ConstantTimeCompare(ack.token(), secret.token()) == 1
	inner := subtle.ConstantTimeCompare(plain.token(), secret.token()) == 1
	switch {
	case !genuine:
		return half, fmt.Errorf("%w: wrong MAC", errCrypto)
	case !outer || !inner:
		return half, fmt.Errorf("%w: wrong token", errCrypto)
	}
	return [symmetricKey]byte(plain.symmetric()), nil
}

// resume answers a MSG-RSTOR. It reports false, and no error, if the client
// has to do a handshake, for whatever reason.
func (c *serverConn) resume(ctx context.Context, rstor *rstorPacket) (bool, error) {
	p := msgPacket(rstor[:])
	token := Token(p.token())
	record, err := c.srv.sessions.Load(ctx, token)
	if err != nil {
		c.srv.log().Warn("session can't be resumed: the store failed", "client", c.remote, "error", err)
	}
	r, ok := acceptResume(record, p)
	if !ok {
		return false, nil
	}
	swapped, err := c.srv.sessions.CompareAndSwap(ctx, token, record, r.next)
	if err != nil {
		c.srv.log().Warn("session can't be resumed: the store failed", "client", c.remote, "error", err)
	}
	if err != nil || !swapped {
		return false, nil
	}
	var ack rstorPacket
	copy(ack[msgHeaderSize:], r.augment[:])
	newBox(&r.mid).seal(ack[:], typeRSTORACK, token[:], symmetricKey)
	c.begin(token, r.key, true)
	if err := c.wire.writePacket(ack[:], 0); err != nil {
		return false, fmt.Errorf("writing MSG-RSTOR-ACK: %w", err)
	}
	return true, nil
}

// resumption is what an accepted MSG-RSTOR leads to.
type resumption struct {
	next    *Record            // takes the record's place
	mid     [symmetricKey]byte // the key of the MSG-RSTOR-ACK
	augment [symmetricKey]byte // the server's, which the MSG-RSTOR-ACK carries
	key     SessionKey         // the new master key, pending
}

// acceptResume checks a MSG-RSTOR against a session's record, nil if there is
// none. One that is refused for its MAC costs the same work whatever the
// record, so that time doesn't tell which tokens exist.
func acceptResume(record *Record, p msgPacket) (resumption, bool) {
	var keys [1 + MaxPending]SessionKey
	n := 0
	if record != nil {
		keys[0] = record.Current
		n = 1 + copy(keys[1:], record.Pending)
	}
	var b *box
	i := slices.IndexFunc(keys[:], func(k SessionKey) bool {
		b = newBox(&k.Key)
		return b.verify(p)
	})
	if i < 0 || i >= n { // past n the keys are zeros, which anyone has
		return resumption{}, false
	}
	next := record.clone()
	if i > 0 { // the client has this key: the others end
		next.Current, next.Pending, next.Resumes = keys[i], nil, nil
	}
	key := &next.Current
	prefix := [8]byte(p.mac())
	if len(next.Pending) >= MaxPending || len(next.Resumes) >= MaxResumes ||
		slices.Contains(next.Resumes, prefix) ||
		key.seen != nil && !key.seen.add(p.mac(), len(p.ciphertext())) {
		return resumption{}, false
	}
	r := resumption{next: next}
	clientAugment := [symmetricKey]byte(b.open(p))
	r.mid = derive(&key.Key, &clientAugment)
	rand.Read(r.augment[:])
	r.key = SessionKey{Key: derive(&r.mid, &r.augment), seen: newSeenMACs()}
	next.Resumes = append(next.Resumes, prefix)
	next.Pending = append(next.Pending, r.key)
	return r, true
}

// promote makes the connection's key the session's current one, now that the
// client has shown that it has it. If the record went another way meanwhile,
// the connection goes on, and the session can't be resumed with its key.
func (c *serverConn) promote(ctx context.Context) error {
	for range MaxPending {
		record, err := c.srv.sessions.Load(ctx, c.token)
		if err != nil || record == nil {
			return err
		}
		i := slices.IndexFunc(record.Pending, func(k SessionKey) bool { return k.Key == c.key.Key })
		if i < 0 {
			return nil
		}
		next := &Record{Current: record.Pending[i], Expires: record.Expires}
		swapped, err := c.srv.sessions.CompareAndSwap(ctx, c.token, record, next)
		if err != nil || swapped {
			return err
		}
	}
	return nil
}
