package megaki

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"syscall"
	"time"
)

// maxRefusedResumes is the number of RSTORs that may be refused on a connection.
const maxRefusedResumes = 4

var (
	expectHello = expectation{state: "SYN or MSG-RSTOR", types: []byte{typeSYN, typeRSTOR}}
	expectACK   = expectation{state: "ACK", types: []byte{typeACK}}
)

// Other reasons for which a handshake is refused.
var (
	errLimited = errors.New("too many handshakes from this address")
	errRefused = errors.New("MSG-RSTOR refused")
	errRetired = errors.New("the client pins a retired server key")
	errVersion = errors.New("the client speaks another version of the protocol")
)

// errCrypto is every failure of a check that a secret decides. The peer sees
// one silent close for them all; only the log has the reason.
var errCrypto = errors.New("the packet is not genuine")

// serverHandshake brings a new connection to a session. It outlives neither the
// handshake nor its deadline.
type serverHandshake struct {
	srv    *Server
	wire   *wire
	mem    *memoryClient
	remote netip.AddrPort
	proxy  bool         // a trusted one
	client netip.Prefix // the zero value: no address, or a trusted proxy's
}

// run reads the first packet of a connection, which decides the version of the
// protocol, and does its handshake. There is one version yet: its first packets
// are SYN and MSG-RSTOR. The first packet of another version would be expected,
// and led to its own handshake, here.
func (h *serverHandshake) run(ctx context.Context) (agreement, error) {
	for refused := 0; ; {
		p, err := h.wire.packet(&expectHello)
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) && h.wire.n == 0 { // HAProxy's checks reset
			return agreement{}, errClosedByClient
		}
		if err != nil {
			return agreement{}, fmt.Errorf("waiting for SYN: %w", err)
		}
		if p[5] == typeSYN {
			return h.handshake(ctx, (*synPacket)(p))
		}
		a, resumed, err := h.resume(ctx, (*rstorPacket)(p))
		if resumed || err != nil {
			return a, err
		}
		h.srv.stats.outcomes[ResumeRefused].Add(1)
		if refused++; refused > maxRefusedResumes {
			return agreement{}, fmt.Errorf("%d times: %w", refused, errRefused)
		}
		var rehs [headerSize]byte
		putHeader(rehs[:], typeREQREHS)
		if err := h.wire.write(rehs[:], 0); err != nil {
			return agreement{}, fmt.Errorf("writing REQ-REHS: %w", err)
		}
	}
}

// session returns a session under a master key that was agreed on here.
func (h *serverHandshake) session(token Token, key *SessionKey) session {
	s := newSessionV1(token, &key.Key, key.seen, 1, h.srv.maxMessage(), h.srv.maxMessagesPerKey())
	s.echo = true // libsazukari sends MSGs with a token of zeros after it resumed
	return s
}

// handshake reads SYN, writes SYN-ACK, reads ACK and writes ACK-ACK.
func (h *serverHandshake) handshake(ctx context.Context, syn *synPacket) (agreement, error) {
	if allow := h.srv.AllowHandshake; allow != nil && !h.proxy && !allow(h.remote.Addr()) {
		return agreement{}, errLimited
	}
	r, err := h.respondToSYN(ctx, syn)
	h.wire.release()
	if err != nil {
		return agreement{}, err
	}
	if r.key.retired {
		h.srv.onHandshake(r.key)
		r.key.used(HandshakeRetired)
	}
	if err := h.wire.write(r.synAck[:], 0); err != nil {
		return agreement{}, fmt.Errorf("writing SYN-ACK: %w", err)
	}
	plain, secret := r.plain, &r.secret
	defer clear(plain[:])
	defer clear(secret[:])
	if r.refused != nil {
		return agreement{}, r.refused
	}
	p, err := h.wire.packet(&expectACK)
	if err != nil {
		return agreement{}, fmt.Errorf("waiting for ACK: %w", err)
	}
	clientHalf, err := openACK((*ackPacket)(p), plain.ephemeral(), secret)
	if err != nil {
		return agreement{}, fmt.Errorf("reading ACK: %w", err)
	}
	token := Token(secret.token())
	key := SessionKey{Key: derive((*[symmetricKey]byte)(secret.symmetric()), &clientHalf), seen: newSeenMACs(h.mem.replay)}

	// The record exists before the client knows that its ACK was right, and not
	// before the ACK was.
	record := &Record{Current: key, Expires: time.Now().Add(h.srv.sessionTTL()), ServerKey: r.key.id, Client: h.client}
	h.store(ctx, token, record)
	h.srv.onHandshake(r.key)
	s := h.session(token, &key)
	var ackAck [headerSize]byte
	putHeader(ackAck[:], typeACKACK)
	if err := h.wire.write(ackAck[:], 0); err != nil {
		s.close()
		return agreement{}, fmt.Errorf("writing ACK-ACK: %w", err)
	}
	return agreement{session: s, token: token, key: r.key.id}, nil
}

// store puts the record of a new session into the store. The session goes on without.
func (h *serverHandshake) store(ctx context.Context, token Token, record *Record) {
	end, ok := h.srv.beginStoring(h.client.Addr())
	if !ok {
		h.storeFailed(errStoring)
		return
	}
	defer end()
	if _, err := h.srv.sessions.CompareAndSwap(ctx, token, nil, record); err != nil {
		h.storeFailed(err)
	}
}

func (h *serverHandshake) storeFailed(err error) { h.srv.storeFailed(h.remote, err) }

// synResponse is the response to a SYN, and what the handshake goes on with.
type synResponse struct {
	plain   *synPlain
	key     *serverKey // that the client pins
	synAck  *synAckPacket
	secret  secretPlain // in the SYN-ACK, unless refused
	refused error       // the SYN-ACK carries an error, for this reason
}

// respondToSYN does the RSA work of a handshake, in a slot.
func (h *serverHandshake) respondToSYN(ctx context.Context, syn *synPacket) (*synResponse, error) {
	if err := h.srv.slots.acquire(ctx, h.client); err != nil {
		return nil, err
	}
	defer h.srv.slots.release()
	plain, clientKey, key, err := openSYN(syn, h.srv.keys, h.srv.decrypt)
	if err != nil {
		return nil, fmt.Errorf("reading SYN: %w", err)
	}
	r := &synResponse{plain: plain, key: key}
	switch {
	case key.retired:
		r.refused = fmt.Errorf("%w: %s", errRetired, key.id)
		r.synAck, err = sealErrorSYNACK(CodeBlacklisted, plain.ephemeral(), clientKey)
	case [2]byte(plain.version()) != version:
		r.refused = fmt.Errorf("%w: % x, not % x", errVersion, plain.version(), version)
		r.synAck, err = sealErrorSYNACK(CodeVersion, plain.ephemeral(), clientKey)
	default:
		h.srv.random(r.secret[:])
		r.synAck, err = sealSYNACK(r.secret.token(), &r.secret, plain.ephemeral(), clientKey)
	}
	return r, err
}

// openSYN decrypts a SYN, and checks its hash and the client's key.
//
// Block 1 is decrypted only under the key that block 0 was encrypted to. So
// garbage costs one private operation for each key, and a genuine SYN at most
// one more. OAEP is secure against chosen ciphertexts: the time may show under
// which key block 0 decodes, which is known to whoever made it, and nothing
// about the plaintext or the hash.
func openSYN(syn *synPacket, keys []*serverKey, decrypt decryptFunc) (*synPlain, *rsa.PublicKey, *serverKey, error) {
	for _, key := range keys {
		first, err := decrypt(key.private, syn.block0())
		if err != nil {
			continue
		}
		plain := new(synPlain)
		if err := plain.join(first, syn, key.private, decrypt); err != nil {
			return nil, nil, nil, fmt.Errorf("%w: %w", errCrypto, err)
		}
		clientKey, err := unpackKey(plain.publicKey())
		if err != nil {
			return nil, nil, nil, fmt.Errorf("%w: client key: %w", errCrypto, err)
		}
		return plain, clientKey, key, nil
	}
	return nil, nil, nil, fmt.Errorf("%w: not encrypted to a key of this server, or changed on the way", errCrypto)
}

// join decrypts block 1 of a SYN, puts it behind block 0, and compares the hash.
func (p *synPlain) join(first []byte, syn *synPacket, key crypto.Decrypter, decrypt decryptFunc) error {
	second, err := decrypt(key, syn.block1())
	if err != nil {
		return errors.New("block 1 is not encrypted to the key of block 0")
	}
	if len(first) != oaepMax || len(second) != len(p)-oaepMax {
		return fmt.Errorf("blocks of %d and %d bytes", len(first), len(second))
	}
	copy(p[:oaepMax], first)
	copy(p[oaepMax:], second)
	p.fold()
	sum := sha256.Sum256(p[:])
	if subtle.ConstantTimeCompare(sum[:], syn.hash()) != 1 {
		return errors.New("wrong hash")
	}
	return nil
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
