package megaki

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"net"
	"os"
	"testing"
)

// flow is vectors/v1-flow.json: a recording of the reference's client and
// server, with their keys and secrets.
type flow struct {
	ServerPrivate    string   `json:"server_private_key_pem"`
	ServerEncrypted  string   `json:"server_private_key_encrypted_pem"`
	ServerPassphrase string   `json:"server_private_key_passphrase"`
	ServerPublic     string   `json:"server_public_key_pem"`
	ServerKeyFile    hexBytes `json:"server_key_file"`
	Handshake        struct {
		Packets         []recorded
		ClientPrivate   string   `json:"client_private_key_pem"`
		EphemeralKey    hexBytes `json:"ephemeral_key"`
		ServerSymmetric hexBytes `json:"server_symmetric"`
		Token           hexBytes
		MasterKey       hexBytes `json:"master_key"`
	}
	Messages   []recordedMessage
	Resumption struct {
		SessionData   hexBytes `json:"session_data"`
		Packets       []recorded
		ClientAugment hexBytes `json:"client_augment"`
		MasterKey     hexBytes `json:"master_key"`
		Message       recordedMessage
	}
	Unknown struct {
		SessionData hexBytes `json:"session_data"`
		Packets     []recorded
	} `json:"resumption_of_unknown_token"`
}

type recorded struct {
	Dir string
	Hex hexBytes
}

type recordedMessage struct {
	Request  hexBytes
	Packets  []recorded
	Response hexBytes
}

type hexBytes []byte

func (h *hexBytes) UnmarshalJSON(p []byte) error {
	var s string
	if err := json.Unmarshal(p, &s); err != nil {
		return err
	}
	b, err := hex.DecodeString(s)
	*h = b
	return err
}

func loadFlow(t testing.TB) *flow {
	t.Helper()
	data, err := os.ReadFile("../vectors/v1-flow.json")
	if err != nil {
		t.Fatal(err)
	}
	f := new(flow)
	if err := json.Unmarshal(data, f); err != nil {
		t.Fatal(err)
	}
	return f
}

func mustParseKey(t testing.TB, pem string) *rsa.PrivateKey {
	t.Helper()
	key, err := ParsePrivateKey([]byte(pem), nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (f *flow) serverKey(t testing.TB) *rsa.PrivateKey { return mustParseKey(t, f.ServerPrivate) }
func (f *flow) clientKey(t testing.TB) *rsa.PrivateKey {
	return mustParseKey(t, f.Handshake.ClientPrivate)
}

func (f *flow) syn() *synPacket       { return (*synPacket)(f.Handshake.Packets[0].Hex) }
func (f *flow) synAck() *synAckPacket { return (*synAckPacket)(f.Handshake.Packets[1].Hex) }
func (f *flow) ack() *ackPacket       { return (*ackPacket)(f.Handshake.Packets[2].Hex) }

// checkSize checks that a state accepts the packet's header.
func checkSize(t *testing.T, e *expectation, packet []byte) {
	t.Helper()
	if n, err := e.frameSize(packet); err != nil || n != len(packet) {
		t.Fatalf("waiting for %s: a packet of %d bytes is read as one of %d: %v", e.state, len(packet), n, err)
	}
}

func equal(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got %x, recorded is %x", what, got, want)
	}
}

func TestRecordedHandshake(t *testing.T) {
	f := loadFlow(t)
	h := &f.Handshake
	for i, e := range []*expectation{&expectHello, &expectSYNACK, &expectACK, &expectACKACK} {
		checkSize(t, e, h.Packets[i].Hex)
	}

	// The server reads the SYN. openSYN checks its hash.
	plain, clientPublic, _, err := openSYN(f.syn(), serverKeys(f.serverKey(t)), decryptOAEP)
	if err != nil {
		t.Fatalf("SYN: %v", err)
	}
	equal(t, "ephemeral key", plain.ephemeral(), h.EphemeralKey)
	equal(t, "version", plain.version(), version[:])
	if clientKey := f.clientKey(t); !clientPublic.Equal(&clientKey.PublicKey) {
		t.Error("another client key")
	}

	// The client reads the SYN-ACK. openSYNACK checks its MAC.
	secret, err := openSYNACK(f.synAck(), h.EphemeralKey, f.clientKey(t))
	if err != nil {
		t.Fatalf("SYN-ACK: %v", err)
	}
	equal(t, "token", secret.token(), h.Token)
	equal(t, "server_symmetric", secret.symmetric(), h.ServerSymmetric)

	// The server reads the ACK, with its MAC.
	clientHalf, err := openACK(f.ack(), h.EphemeralKey, secret)
	if err != nil {
		t.Fatalf("ACK: %v", err)
	}
	serverHalf := [symmetricKey]byte(secret.symmetric())
	server, client := derive(&serverHalf, &clientHalf), derive(&clientHalf, &serverHalf)
	equal(t, "the server's master key", server[:], h.MasterKey)
	equal(t, "the client's master key", client[:], h.MasterKey)
}

// openRecorded checks and opens one recorded MSG.
func openRecorded(t *testing.T, b *box, packet, token, want []byte) {
	t.Helper()
	checkSize(t, &expectation{state: "MSG", types: []byte{typeMSG}, minMsg: 1, maxMsg: DefaultMaxMessage}, packet)
	p := msgPacket(bytes.Clone(packet))
	if !b.verify(p) {
		t.Fatal("wrong MAC")
	}
	equal(t, "token", p.token(), token)
	equal(t, "plaintext", b.open(p), want)
}

func TestRecordedMessages(t *testing.T) {
	f := loadFlow(t)
	master := [symmetricKey]byte(f.Handshake.MasterKey)
	server, client := newBox(&master), newBox(&master)
	for _, m := range f.Messages {
		openRecorded(t, server, m.Packets[0].Hex, f.Handshake.Token, m.Request)
		openRecorded(t, client, m.Packets[1].Hex, f.Handshake.Token, m.Response)
	}
}

func TestRecordedResumption(t *testing.T) {
	f := loadFlow(t)
	r := &f.Resumption
	var s Session
	if err := s.UnmarshalBinary(r.SessionData); err != nil {
		t.Fatal(err)
	}
	equal(t, "the session's token", s.Token[:], f.Handshake.Token)
	equal(t, "the session's key", s.Key[:], f.Handshake.MasterKey)
	checkSize(t, &expectHello, r.Packets[0].Hex)
	checkSize(t, &expectRSTORACK, r.Packets[1].Hex)

	// The server accepts the MSG-RSTOR. openRSTORACK is the client's side.
	record := &Record{Current: SessionKey{Key: s.Key}}
	resumption, ok := acceptResume(record, bytes.Clone(r.Packets[0].Hex), [symmetricKey]byte{7}, nil, verifyUnder)
	if !ok {
		t.Fatal("the recorded MSG-RSTOR is refused")
	}
	augment := [symmetricKey]byte(r.ClientAugment)
	mid := derive(&s.Key, &augment)
	equal(t, "the key between", resumption.mid[:], mid[:])
	key, err := openRSTORACK(bytes.Clone(r.Packets[1].Hex), &s.Key, &augment)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "new master key", key[:], r.MasterKey)

	// The reference's client resumes in a fresh context: its token is rubbish.
	b := newBox(&key)
	p := r.Message.Packets
	openRecorded(t, b, p[0].Hex, msgPacket(p[0].Hex).token(), r.Message.Request)
	openRecorded(t, b, p[1].Hex, msgPacket(p[1].Hex).token(), r.Message.Response)
}

func TestRecordedUnknownToken(t *testing.T) {
	f := loadFlow(t)
	var s Session
	if err := s.UnmarshalBinary(f.Unknown.SessionData); err != nil {
		t.Fatal(err)
	}
	rstor := f.Unknown.Packets[0].Hex
	equal(t, "token", msgPacket(rstor).token(), s.Token[:])
	checkSize(t, &expectHello, rstor)
	checkSize(t, &expectRSTORACK, f.Unknown.Packets[1].Hex)
	if _, ok := acceptResume(nil, bytes.Clone(rstor), [symmetricKey]byte{7}, nil, verifyUnder); ok {
		t.Error("resumed without a record")
	}

	conn := dialRaw(t, start(t, &Server{Keys: []crypto.Decrypter{f.serverKey(t)}}))
	send(t, conn, rstor)
	equal(t, "the response", receive(t, conn, headerSize), f.Unknown.Packets[1].Hex)
}

// The recorded SYN has what the recorded client's key opens: our server brings
// the handshake to its end, and serves the session that comes of it.
func TestRecordedClientAtOurServer(t *testing.T) {
	f := loadFlow(t)
	for _, segment := range []int{1, 7, len(synPacket{})} {
		conn := dialRaw(t, start(t, &Server{Keys: []crypto.Decrypter{testKey(), f.serverKey(t)}}))
		for rest := f.syn()[:]; len(rest) > 0; {
			n := min(segment, len(rest))
			send(t, conn, rest[:n])
			rest = rest[n:]
		}
		synAck := receive(t, conn, len(synAckPacket{}))
		secret, err := openSYNACK((*synAckPacket)(synAck), f.Handshake.EphemeralKey, f.clientKey(t))
		if err != nil {
			t.Fatal(err)
		}
		ack, half := sealACK(secret, f.Handshake.EphemeralKey)
		send(t, conn, ack[:])
		ackAck := receive(t, conn, headerSize)
		checkSize(t, &expectACKACK, ackAck)

		serverHalf := [symmetricKey]byte(secret.symmetric())
		master := derive(half, &serverHalf)
		b := newBox(&master)
		for _, m := range f.Messages {
			p := sealed(b, typeMSG, secret.token(), m.Request)
			send(t, conn, p)
			response := msgPacket(receive(t, conn, len(p))) // an echo is as long
			if !b.verify(response) {
				t.Fatal("wrong MAC")
			}
			equal(t, "echo", b.open(response), m.Request)
		}

		// The session is resumed by a client that has nothing but the session.
		cfg := &Config{ServerKey: &f.serverKey(t).PublicKey, Session: &Session{Token(secret.token()), master}}
		c := dial(t, conn.RemoteAddr().String(), cfg)
		if !c.Resumed() {
			t.Error("not resumed")
		}
		checkEcho(t, c, 100)
	}
}

// sealed makes a packet of a plaintext.
func sealed(b *box, typ byte, token, plain []byte) msgPacket {
	p := make(msgPacket, msgHeaderSize+padded(len(plain)))
	copy(p[msgHeaderSize:], plain)
	b.seal(p, typ, token, len(plain))
	return p
}

func dialRaw(t testing.TB, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func send(t testing.TB, conn net.Conn, p []byte) {
	t.Helper()
	if _, err := conn.Write(p); err != nil {
		t.Fatal(err)
	}
}

// receive reads exactly n bytes.
func receive(t testing.TB, conn net.Conn, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	for read := 0; read < n; {
		k, err := conn.Read(p[read:])
		if read += k; err != nil && read < n {
			t.Fatalf("after %d of %d bytes: %v", read, n, err)
		}
	}
	return p
}
