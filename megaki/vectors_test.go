package megaki

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// vectorFile is one of vectors/v1/*.json. vectors/README.md describes the
// fields.
type vectorFile struct {
	Protocol hexBytes
	Keys     map[string]string
	Tests    []*vector
}

type vector struct {
	Name, Comment, Operation, Expect string

	State, Side string
	Limit, Size int
	Code        hexBytes

	Packet, Modulus, Exponent, Version, Token, Key, Plaintext hexBytes

	EphemeralKey    hexBytes `json:"ephemeral_key"`
	ServerSymmetric hexBytes `json:"server_symmetric"`
	ClientSymmetric hexBytes `json:"client_symmetric"`
	ClientAugment   hexBytes `json:"client_augment"`
	ServerAugment   hexBytes `json:"server_augment"`
	NewKey          hexBytes `json:"new_key"`

	Steps []vectorStep
}

type vectorStep struct {
	Comment, Expect                string
	Connection                     int
	Sent                           bool
	Packet, Random, Plaintext, Key hexBytes
}

// run runs a vector. It returns the name of the failure, or "ok".
type vectorRunner func(t *testing.T, f *vectorFile, v *vector) string

var vectorRunners = map[string]vectorRunner{
	"public-key":     runPublicKey,
	"derive":         runDerive,
	"frame":          runFrame,
	"open-syn":       runOpenSYN,
	"open-syn-ack":   runOpenSYNACK,
	"open-ack":       runOpenACK,
	"open-message":   runOpenMessage,
	"open-rstor-ack": runOpenRSTORACK,
	"session":        runSession,
	"server":         runServer,
}

// TestVectors runs every vector for other implementations against this one.
func TestVectors(t *testing.T) {
	paths, err := filepath.Glob("../vectors/v1/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f := new(vectorFile)
			d := json.NewDecoder(bytes.NewReader(data))
			if err := d.Decode(f); err != nil {
				t.Fatal(err)
			}
			equal(t, "protocol", f.Protocol, version[:])
			names := map[string]bool{}
			for _, v := range f.Tests {
				run := vectorRunners[v.Operation]
				if run == nil || names[v.Name] {
					t.Fatalf("%s: operation %q is not known, or the name is there twice", v.Name, v.Operation)
				}
				names[v.Name] = true
				t.Run(v.Name, func(t *testing.T) {
					if got := run(t, f, v); got != v.Expect {
						t.Errorf("got %q, want %q", got, v.Expect)
					}
				})
			}
		})
	}
}

func (f *vectorFile) key(t *testing.T, name string) *rsa.PrivateKey {
	return mustParseKey(t, f.Keys[name])
}

// failure returns the name that a vector has for an error.
func failure(err error) string {
	var long *TooLongError
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, errReplayed):
		return "replay"
	case errors.Is(err, errBadKey):
		return "bad-key"
	case errors.Is(err, errCrypto):
		return "crypto"
	case errors.As(err, new(*ServerError)):
		return "server-error"
	case errors.As(err, &long):
		return "too-long"
	case errors.Is(err, errMalformed):
		return "malformed"
	}
	return err.Error()
}

// framed judges a packet by its beginning. It returns "ok" if the packet is
// whole.
func framed(f framer, packet []byte) string {
	size, err := f.frameSize(packet)
	switch {
	case err != nil:
		return failure(err)
	case size == 0 || len(packet) < size:
		return "incomplete"
	case len(packet) > size:
		return "malformed"
	}
	return "ok"
}

func runPublicKey(t *testing.T, _ *vectorFile, v *vector) string {
	packed := slices.Concat(v.Modulus, v.Exponent)
	key, err := ParsePublicKey(packed)
	if err != nil {
		return failure(err)
	}
	again, err := PinnedKey(key)
	if err != nil {
		t.Error(err)
	}
	equal(t, "the key", again, packed)
	return "ok"
}

func runDerive(t *testing.T, _ *vectorFile, v *vector) string {
	a, b := [symmetricKey]byte(v.ServerSymmetric), [symmetricKey]byte(v.ClientSymmetric)
	got := derive(&a, &b)
	equal(t, "key", got[:], v.Key)
	return "ok"
}

func runFrame(t *testing.T, _ *vectorFile, v *vector) string {
	session := func(least int) framer {
		return newSessionV1(Token{}, new([symmetricKey]byte), newSeenMACs(nil), least, v.Limit, 1)
	}
	f := map[string]framer{
		"server-hello":     &expectHello,
		"server-ack":       &expectACK,
		"server-message":   session(1),
		"client-syn-ack":   &expectSYNACK,
		"client-ack-ack":   &expectACKACK,
		"client-rstor-ack": &expectRSTORACK,
		"client-message":   session(0),
	}[v.State]
	size, err := f.frameSize(v.Packet)
	if err == nil && size == 0 {
		return "incomplete"
	}
	if size != v.Size {
		t.Errorf("a packet of %d bytes, want %d", size, v.Size)
	}
	return failure(err)
}

func runOpenSYN(t *testing.T, f *vectorFile, v *vector) string {
	if s := framed(&expectHello, v.Packet); s != "ok" {
		return s
	}
	plain, key, _, err := openSYN((*synPacket)(v.Packet), serverKeys(testKey(), f.key(t, "server")), decryptOAEP)
	if err != nil {
		return failure(err)
	}
	equal(t, "modulus", key.N.Bytes(), v.Modulus)
	equal(t, "exponent", binary.BigEndian.AppendUint32(nil, uint32(key.E)), v.Exponent)
	equal(t, "ephemeral key", plain.ephemeral(), v.EphemeralKey)
	equal(t, "version", plain.version(), v.Version)
	if [2]byte(plain.version()) != version {
		return "version"
	}
	return "ok"
}

func runOpenSYNACK(t *testing.T, f *vectorFile, v *vector) string {
	if s := framed(&expectSYNACK, v.Packet); s != "ok" {
		return s
	}
	secret, err := openSYNACK((*synAckPacket)(v.Packet), v.EphemeralKey, f.key(t, "client"))
	if refused := (*ServerError)(nil); errors.As(err, &refused) {
		equal(t, "code", binary.BigEndian.AppendUint16(nil, uint16(refused.Code)), v.Code)
	}
	if err != nil {
		return failure(err)
	}
	equal(t, "token", secret.token(), v.Token)
	equal(t, "server_symmetric", secret.symmetric(), v.ServerSymmetric)
	return "ok"
}

func runOpenACK(t *testing.T, _ *vectorFile, v *vector) string {
	if s := framed(&expectACK, v.Packet); s != "ok" {
		return s
	}
	secret := (*secretPlain)(slices.Concat(v.Token, v.ServerSymmetric))
	half, err := openACK((*ackPacket)(v.Packet), v.EphemeralKey, secret)
	if err != nil {
		return failure(err)
	}
	equal(t, "client_symmetric", half[:], v.ClientSymmetric)
	key := derive((*[symmetricKey]byte)(v.ServerSymmetric), &half)
	equal(t, "master key", key[:], v.Key)
	return "ok"
}

// sideSession returns the session of one side.
func (v *vector) sideSession() *sessionV1 {
	least := 0
	if v.Side == "server" {
		least = 1
	}
	key := [symmetricKey]byte(v.Key)
	s := newSessionV1(Token{}, &key, newSeenMACs(nil), least, v.Limit, math.MaxInt)
	s.echo = v.Side == "server"
	return s
}

// receive judges, checks and opens a packet of a session.
func (s *sessionV1) receive(packet []byte) ([]byte, string) {
	if r := framed(s, packet); r != "ok" {
		return nil, r
	}
	plain, err := s.open(bytes.Clone(packet))
	return plain, failure(err)
}

func runOpenMessage(t *testing.T, _ *vectorFile, v *vector) string {
	s := v.sideSession()
	plain, result := s.receive(v.Packet)
	if result == "ok" {
		equal(t, "plaintext", plain, v.Plaintext)
		if s.echo {
			equal(t, "token", s.token[:], v.Token)
		}
	}
	return result
}

func runOpenRSTORACK(t *testing.T, _ *vectorFile, v *vector) string {
	if s := framed(&expectRSTORACK, v.Packet); s != "ok" {
		return s
	}
	if v.Packet[5] == typeREQREHS {
		return "handshake-needed"
	}
	old, augment := [symmetricKey]byte(v.Key), [symmetricKey]byte(v.ClientAugment)
	key, err := openRSTORACK(bytes.Clone(v.Packet), &old, &augment)
	if err != nil {
		return failure(err)
	}
	equal(t, "new key", key[:], v.NewKey)
	return "ok"
}

func runSession(t *testing.T, _ *vectorFile, v *vector) string {
	s := v.sideSession()
	for i, step := range v.Steps {
		result := "ok"
		if step.Sent {
			p := msgPacket(step.Packet)
			result = failure(s.seen.add(p.mac(), len(p.ciphertext())))
		} else {
			var plain []byte
			if plain, result = s.receive(step.Packet); result == "ok" {
				equal(t, "plaintext", plain, step.Plaintext)
			}
		}
		if result != step.Expect {
			t.Errorf("step %d: got %q, want %q", i, result, step.Expect)
		}
	}
	return ""
}

// vectorServer is a server whose part of keys is that of a vector. Its
// handler records messages and returns them.
type vectorServer struct {
	random chan []byte
	body   chan []byte
}

func runServer(t *testing.T, f *vectorFile, v *vector) string {
	vs := &vectorServer{make(chan []byte, 1), make(chan []byte, 1)}
	srv := &Server{
		Keys:       []crypto.Decrypter{f.key(t, "server")},
		MaxMessage: v.Limit,
		Handler: HandlerFunc(func(w *ResponseWriter, r *Request) error {
			vs.body <- bytes.Clone(r.Body)
			_, err := w.Write(r.Body)
			return err
		}),
		random: func(p []byte) {
			select {
			case random := <-vs.random:
				if len(random) != len(p) {
					panic(fmt.Sprintf("%d random bytes in place of %d", len(random), len(p)))
				}
				copy(p, random)
			default: // a RSTOR that is refused, or a SYN of another version
			}
		},
	}
	addr := start(t, srv)
	conns := map[int]net.Conn{}
	for i, step := range v.Steps {
		conn := conns[step.Connection]
		if conn == nil {
			conn = dialRaw(t, addr)
			conn.SetDeadline(time.Now().Add(patience))
			conns[step.Connection] = conn
		}
		if step.Random != nil {
			vs.random <- step.Random
		}
		conn.Write(step.Packet) // fails where the server closes in the middle of it
		if err := vs.check(t, f, &step, conn); err != nil {
			t.Fatalf("step %d on connection %d, %q %s: %v", i, step.Connection, step.Expect, step.Comment, err)
		}
	}
	return ""
}

// check reads the server's response to a step.
func (vs *vectorServer) check(t *testing.T, f *vectorFile, step *vectorStep, conn net.Conn) error {
	types := map[string]byte{"syn-ack": typeSYNACK, "error-syn-ack": typeSYNACK, "ack-ack": typeACKACK, "message": typeMSG,
		"rstor-ack": typeRSTORACK, "req-rehs": typeREQREHS}
	typ, ok := types[step.Expect]
	if !ok {
		return refusal(conn)
	}
	packet, err := readPacket(conn, typ)
	if err != nil {
		return err
	}
	switch step.Expect {
	case "syn-ack":
		secret, err := openSYNACK((*synAckPacket)(packet), step.Key, f.key(t, "client"))
		if err == nil {
			equal(t, "token and server_symmetric", secret[:], step.Random)
		}
		return err
	case "error-syn-ack":
		_, err := openSYNACK((*synAckPacket)(packet), step.Key, f.key(t, "client"))
		if refused := (*ServerError)(nil); !errors.As(err, &refused) || refused.Code != CodeVersion {
			return fmt.Errorf("the client reads %v", err)
		}
		_, err = io.ReadFull(conn, make([]byte, 1))
		if err != io.EOF {
			return fmt.Errorf("after it: %v, want the end", err)
		}
	case "message":
		equal(t, "what the application gets", <-vs.body, step.Plaintext)
		p, key := msgPacket(packet), [symmetricKey]byte(step.Key)
		if !newMAC(&key).verify(p) {
			return errors.New("a response with a wrong MAC")
		}
		equal(t, "token", p.token(), msgPacket(step.Packet).token())
		equal(t, "response", newBox(&key).open(p), step.Plaintext)
	case "rstor-ack":
		p, key := msgPacket(packet), [symmetricKey]byte(step.Key)
		if !newMAC(&key).verify(p) {
			return errors.New("a MSG-RSTOR-ACK with a wrong MAC")
		}
		equal(t, "server_augment", newBox(&key).open(p), step.Random)
	}
	return nil
}
