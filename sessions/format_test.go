package sessions

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"mkd/megaki"
)

// The files and the Redis of a release are read by the next one, and by nodes that still
// run the last one: what is written stays as it is. See docs/cluster.md.

// formatRecord returns a record, and its bytes before they are sealed.
func formatRecord(client netip.Prefix, clientHex string) (*megaki.Record, string) {
	r := &megaki.Record{
		Expires:   time.UnixMilli(0x0102030405),
		ServerKey: [keySize]byte(bytes.Repeat([]byte{0x11}, keySize)),
		Client:    client,
		Current:   megaki.SessionKey{Key: [keySize]byte(bytes.Repeat([]byte{0x22}, keySize))},
		Pending:   []megaki.SessionKey{{Key: [keySize]byte(bytes.Repeat([]byte{0x33}, keySize))}},
		Resumes:   [][resumeSize]byte{{1, 2, 3, 4, 5, 6, 7, 8}, {8, 7, 6, 5, 4, 3, 2, 1}},
	}
	return r, "0000000102030405" + strings.Repeat("11", keySize) + clientHex + strings.Repeat("22", keySize) + "0102" +
		strings.Repeat("33", keySize) + "0102030405060708" + "0807060504030201"
}

func TestRecordFormat(t *testing.T) {
	for _, c := range []struct{ client, hex string }{
		{"192.0.2.1/32", "80" + "00000000000000000000ffffc0000201"},
		{"192.0.2.0/0", "60" + "00000000000000000000ffffc0000200"},
		{"2001:db8::/64", "40" + "20010db8000000000000000000000000"},
		{"2001:db8::1/128", "80" + "20010db8000000000000000000000001"},
		{"", "ff" + "00000000000000000000000000000000"},
	} {
		var client netip.Prefix
		if c.client != "" {
			client = netip.MustParsePrefix(c.client)
		}
		r, want := formatRecord(client, c.hex)
		if got := hex.EncodeToString(appendRecord(nil, r)); got != want {
			t.Errorf("%q is written as\n%s, want\n%s", c.client, got, want)
		}
		p, err := hex.DecodeString(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseRecord(p); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%q is read as %+v, %v; want %+v", c.client, got, err, r)
		}
	}
}

func TestRecordMalformed(t *testing.T) {
	sound := func() []byte {
		r, _ := formatRecord(netip.MustParsePrefix("192.0.2.1/32"), "")
		return appendRecord(nil, r)
	}
	const bits, counts = 8 + keySize, recordSize - 2
	for name, change := range map[string]func(p []byte) []byte{
		"nothing":                           func(p []byte) []byte { return nil },
		"short of the counts":               func(p []byte) []byte { return p[:recordSize-1] },
		"short of a pending key":            func(p []byte) []byte { return p[:recordSize] },
		"a byte less":                       func(p []byte) []byte { return p[:len(p)-1] },
		"a byte more":                       func(p []byte) []byte { return append(p, 0) },
		"a network of 129 bits":             func(p []byte) []byte { p[bits] = 129; return p },
		"an IPv4 network of less than none": func(p []byte) []byte { p[bits] = 95; return p },
		"too many pending keys": func(p []byte) []byte {
			p[counts], p[counts+1] = megaki.MaxPending+1, 0
			return append(p[:recordSize], make([]byte, (megaki.MaxPending+1)*keySize)...)
		},
		"too many MACs": func(p []byte) []byte {
			p[counts], p[counts+1] = 0, megaki.MaxResumes+1
			return append(p[:recordSize], make([]byte, (megaki.MaxResumes+1)*resumeSize)...)
		},
	} {
		if r, err := parseRecord(change(sound())); err == nil {
			t.Errorf("%s: read as %+v", name, r)
		}
	}
	if _, err := parseRecord(sound()); err != nil {
		t.Errorf("the record that isn't changed: %v", err)
	}
}

// sealedBefore is the record of formatRecord for 192.0.2.1/32, sealed by an earlier
// version with secret 1 for the token of sixteen 5.
const sealedBefore = "0149521f814e0d40c1157681ca226186ec41dad6db23ca87a2a4c2b5158259cec3e374e966ee93e5bbfa468c99cb452f" +
	"eb26d6203445a37244b8c0d731d26ce600536d3745cf50ef42767e85f71ed0c326506bd4d221ae4d38139107b707936d" +
	"5dfec4f0c10fbdbb1e5baae3f726445a28ab17e4c87b2af3752a630dbd02cc1a96f269670532663ad546421860776f6b" +
	"d5a934f5982d7c50bbd6bc1f7a98ad872e2fa8d80ddd2f0b37fcd7551ad1c780"

func TestSealedFormat(t *testing.T) {
	token := megaki.Token(bytes.Repeat([]byte{5}, len(megaki.Token{})))
	want, _ := formatRecord(netip.MustParsePrefix("192.0.2.1/32"), "")
	sealed, err := hex.DecodeString(sealedBefore)
	if err != nil {
		t.Fatal(err)
	}
	s := newSealer(t, 1)
	got, err := s.Open(token, sealed)
	want.Revision = 0x49521f814e0d40c1
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if id := s.Client(want.Client); hex.EncodeToString(id[:]) != "c966dca8287cb3e5" {
		t.Errorf("the client is %x", id)
	}
}
