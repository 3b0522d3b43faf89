package conformance

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFaultyClients plays scenarios to clients with a fault each: they fail those that
// are about it. Without a fault the same client passes.
func TestFaultyClients(t *testing.T) {
	for _, f := range []struct{ fault, scenarios string }{
		{"", "handshake fresh-secrets sizes many-messages closed-while-idle restarted-while-idle message-lost syn-ack-* refused-* response-* resume* rstor-* two-responses"},
		{"takes any MAC of a SYN-ACK", "syn-ack-mac refused-forged"},
		{"doesn't compare tokens", "syn-ack-tokens"},
		{"looks for errors outside only", "refused-version-inner refused-unknown-inner"},
		{"looks for errors inside only", "refused-version-outer refused-blacklisted-outer"},
		{"takes any MAC of a message", "response-mac response-mac-end rstor-ack-mac rstor-ack-old-key"},
		{"remembers no MAC", "response-replayed message-reflected older-message-reflected"},
		{"takes any type", "response-type-rstor-ack response-type-ack-ack ack-ack-type syn-ack-type"},
		{"takes any magic", "response-magic syn-ack-magic"},
		{"judges nothing before 74 bytes", "response-head-req-rehs response-head-ack-ack"},
		{"has no limit", "response-too-long response-length-wraps"},
		{"sends again", "message-lost"},
		{"never resumes", "resume closed-while-idle"},
		{"saves the session once", "resume"},
		{"sends tokens of zeros", "handshake resume"},
		{"pads with zeros", "many-messages"},
		{"has one IV", "many-messages"},
		{"has one ephemeral key", "fresh-secrets"},
		{"never looks for a closed connection", "closed-while-idle restarted-while-idle two-responses"},
		{"lets others read the session", "handshake"},
		{"speaks another version", "handshake"},
		{"ignores REQ-REHS", "resume-refused restarted-while-idle"},
		{"folds nothing", "handshake"},
	} {
		t.Run(f.fault, func(t *testing.T) {
			t.Parallel()
			scenarios, err := Find(strings.Fields(f.scenarios)...)
			if err != nil {
				t.Fatal(err)
			}
			o := Options{Scenarios: scenarios}
			if f.fault != "" {
				o.Patience = 500 * time.Millisecond // it has to fail, be it by time
			}
			client := function(func(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) (int, error) {
				return (&faulty{fault: f.fault, args: args, errOut: errOut}).run(ctx, in, out)
			})
			results, err := Run(t.Context(), client, o)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range results {
				if (r.Err == nil) != (f.fault == "") {
					t.Errorf("%s: %v", r.Scenario.Name, r.Err)
				}
			}
		})
	}
}

// faulty is a client with a fault.
type faulty struct {
	fault  string
	args   []string
	errOut io.Writer

	conn       net.Conn
	token, key []byte
	seen       map[string]bool
}

var fixed = bytes.Repeat([]byte{7}, 32)

func (c *faulty) has(fault string) bool { return c.fault == fault }

// codeError is a failure with its code.
type codeError struct {
	code Code
	what string
}

func (e codeError) Error() string { return e.what }

func (c *faulty) run(ctx context.Context, in io.Reader, out io.Writer) (int, error) {
	defer context.AfterFunc(ctx, func() {
		if c.conn != nil {
			c.conn.Close()
		}
	})()
	if saved, err := os.ReadFile(c.args[3]); err == nil && !c.has("never resumes") {
		c.token, c.key = saved[:16], saved[16:]
	}
	for {
		var size [4]byte
		if _, err := io.ReadFull(in, size[:]); err != nil {
			break
		}
		text := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(in, text); err != nil {
			return 0, err
		}
		response, err := c.send(text)
		if err != nil && c.has("sends again") {
			c.conn.Close()
			c.conn = nil
			response, err = c.send(text)
		}
		if err != nil {
			fmt.Fprintln(c.errOut, err)
			c.conn.Close()
			if failed := (codeError{}); errors.As(err, &failed) {
				return int(failed.code), nil
			}
			return int(IOError), nil
		}
		out.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(response))), response...))
	}
	if c.conn != nil {
		c.conn.Close()
	}
	return 0, nil
}

func (c *faulty) save() error {
	mode := os.FileMode(0o600)
	if c.has("lets others read the session") {
		mode = 0o644
	}
	return os.WriteFile(c.args[3], slices.Concat(c.token, c.key), mode)
}

// quiet reports whether the connection is neither closed nor has bytes to read.
func (c *faulty) quiet() bool {
	c.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	n, err := c.conn.Read(make([]byte, 1))
	c.conn.SetReadDeadline(time.Time{})
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

func (c *faulty) send(text []byte) ([]byte, error) {
	if len(text) > maxMessage {
		return nil, codeError{MessageTooLong, "too long"}
	}
	if c.conn != nil && !c.has("never looks for a closed connection") && !c.quiet() {
		c.conn.Close()
		c.conn = nil
	}
	if c.conn == nil {
		if err := c.connect(); err != nil {
			return nil, err
		}
	}
	token := c.token
	if c.has("sends tokens of zeros") {
		token = make([]byte, 16)
	}
	p := message(typeMSG, c.key, token, text)
	switch {
	case c.has("pads with zeros"):
		p = faultyMessage(c.key, token, text, random(16))
	case c.has("has one IV"):
		p = faultyMessage(c.key, token, text, fixed[:16])
	}
	c.seen[string(p[26:58])] = true
	if _, err := c.conn.Write(p); err != nil {
		return nil, err
	}
	p, err := c.read(typeMSG)
	if err != nil {
		return nil, err
	}
	return c.open(c.key, p)
}

// faultyMessage is message with padding of zeros and an IV that may come again.
func faultyMessage(key, token, text, iv []byte) []byte {
	p := message(typeMSG, key, token, append(bytes.Clone(text), make([]byte, padded(len(text))-len(text))...))
	plain := decrypt(key, p[58:74], p[74:])
	signed := append(bytes.Clone(iv), encryptCBC(key, iv, plain)...)
	return slices.Concat(binary.BigEndian.AppendUint32(header(typeMSG), uint32(len(text))), token, mac(key, signed), signed)
}

func encryptCBC(key, iv, plain []byte) (out []byte) {
	last := iv
	for i := 0; i < len(plain); i += 16 {
		b := bytes.Clone(plain[i : i+16])
		for j := range b {
			b[j] ^= last[j]
		}
		block(key).Encrypt(b, b)
		out, last = append(out, b...), b
	}
	return out
}

func (c *faulty) open(key, p []byte) ([]byte, error) {
	plain, _, err := openMessage(key, p)
	if err != nil && c.has("takes any MAC of a message") {
		plain, err = decrypt(key, p[58:74], p[74:])[:binary.BigEndian.Uint32(p[6:])], nil
	}
	if err == nil && c.seen[string(p[26:58])] && !c.has("remembers no MAC") {
		err = errors.New("replayed")
	}
	if err != nil {
		return nil, codeError{ProtocolError, err.Error()}
	}
	c.seen[string(p[26:58])] = true
	return plain, nil
}

// read reads a packet of one of the types.
func (c *faulty) read(types ...byte) ([]byte, error) {
	p := make([]byte, 6)
	if c.has("judges nothing before 74 bytes") && types[0] == typeMSG {
		p = make([]byte, msgHeadSize)
	}
	if _, err := io.ReadFull(c.conn, p); err != nil {
		return nil, err
	}
	typ := p[5]
	if !bytes.HasPrefix(p, []byte("MGK\xAA\xCA")) && !c.has("takes any magic") {
		return nil, codeError{ProtocolError, "no magic"}
	}
	if !slices.Contains(types, typ) {
		if !c.has("takes any type") {
			return nil, codeError{ProtocolError, "wrong type"}
		}
		typ = types[0]
	}
	size := map[byte]int{typeSYNACK: 310, typeACKACK: 6, typeREQREHS: 6}[typ]
	if size == 0 {
		p = append(p, make([]byte, max(0, 10-len(p)))...)
		if len(p) == 10 {
			if _, err := io.ReadFull(c.conn, p[6:]); err != nil {
				return nil, err
			}
		}
		n := int(binary.BigEndian.Uint32(p[6:]))
		switch {
		case typ == typeRSTORACK && n != 32:
			return nil, codeError{ProtocolError, "wrong length"}
		case n > maxMessage && !c.has("has no limit"):
			return nil, codeError{ResponseTooLong, "too long"}
		}
		size = msgHeadSize + padded(min(n, 2*maxMessage))
	}
	have := len(p)
	p = append(p, make([]byte, size-have)...)
	_, err := io.ReadFull(c.conn, p[have:])
	return p, err
}

func (c *faulty) connect() (err error) {
	if c.conn, err = net.Dial("tcp", net.JoinHostPort(c.args[0], c.args[1])); err != nil {
		return err
	}
	c.seen = map[string]bool{}
	if c.key == nil || c.has("never resumes") {
		return c.handshake()
	}
	augment := random(32)
	if _, err := c.conn.Write(message(typeRSTOR, c.key, c.token, augment)); err != nil {
		return err
	}
	p, err := c.read(typeRSTORACK, typeREQREHS)
	if err != nil {
		return err
	}
	if p[5] == typeREQREHS {
		if c.has("ignores REQ-REHS") {
			return codeError{ProtocolError, "refused"}
		}
		return c.handshake()
	}
	mid := derive(c.key, augment)
	plain, err := c.open(mid, p)
	if err != nil {
		return err
	}
	c.key = derive(mid, plain)
	if c.has("saves the session once") {
		return nil
	}
	return c.save()
}

func (c *faulty) handshake() error {
	data, err := os.ReadFile(c.args[2])
	if err != nil {
		return err
	}
	der, _ := pem.Decode(data)
	public, err := x509.ParsePKIXPublicKey(der.Bytes)
	if err != nil {
		return err
	}
	ephemeral, version := random(32), []byte{0x0A, 0xFF}
	if c.has("has one ephemeral key") {
		ephemeral = fixed
	}
	if c.has("speaks another version") {
		version = []byte{0x0B, 0x00}
	}
	own := clientKey()
	plain := slices.Concat(own.N.FillBytes(make([]byte, 256)), binary.BigEndian.AppendUint32(nil, uint32(own.E)), ephemeral, version)
	sum := sha256.Sum256(plain)
	for i := 214; i < 294 && !c.has("folds nothing"); i++ {
		plain[i] ^= plain[i-214]
	}
	syn := append(header(typeSYN), sum[:]...)
	for _, part := range [][]byte{plain[:214], plain[214:]} {
		b, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, public.(*rsa.PublicKey), part, nil)
		if err != nil {
			return err
		}
		syn = append(syn, b...)
	}
	if _, err := c.conn.Write(syn); err != nil {
		return err
	}
	p, err := c.read(typeSYNACK)
	if err != nil {
		return err
	}
	if !bytes.Equal(p[6:38], mac(ephemeral, p[54:])) && !c.has("takes any MAC of a SYN-ACK") {
		return codeError{ProtocolError, "wrong MAC"}
	}
	inner, err := rsa.DecryptOAEP(sha1.New(), nil, own, p[54:], nil)
	if err != nil || len(inner) != 48 {
		return codeError{ProtocolError, "wrong block"}
	}
	mark := bytes.Repeat([]byte{0xEE}, 16)
	refusals := map[string]Code{"\x01\x00": OtherVersion, "\x02\x00": Unavailable, "\x03\xFF": Blacklisted, "\x42\x17": UnknownRefusal}
	switch {
	case bytes.Equal(inner[:16], mark) && !c.has("looks for errors outside only"):
		return codeError{refusals[string(inner[16:18])], "refused"}
	case bytes.Equal(p[38:54], mark) && !c.has("looks for errors inside only"):
		return codeError{refusals[string(inner[:2])], "refused"}
	case !bytes.Equal(p[38:54], inner[:16]) && !c.has("doesn't compare tokens"):
		return codeError{ProtocolError, "two tokens"}
	}
	half, iv := random(32), random(16)
	signed := append(bytes.Clone(iv), encryptCBC(inner[16:], iv, slices.Concat(inner[:16], half))...)
	if _, err := c.conn.Write(slices.Concat(header(typeACK), mac(ephemeral, signed), inner[:16], signed)); err != nil {
		return err
	}
	if _, err := c.read(typeACKACK); err != nil {
		return err
	}
	c.token, c.key, c.seen = inner[:16], derive(inner[16:], half), map[string]bool{}
	return c.save()
}
