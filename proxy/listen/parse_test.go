package listen

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pires/go-proxyproto"
)

// v2 is a header of version 2 up to its length, and what follows.
func v2(command, family byte, length uint16, rest string) string {
	return signature2 + string([]byte{command, family, byte(length >> 8), byte(length)}) + rest
}

const (
	block4 = "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x09\x01\xbb"
	ip6    = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
	mapped = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04"
	ports  = "\x00\x09\x01\xbb"
)

var headers = []struct {
	name   string
	header string
	client string // "": the header has none
}{
	{"v1 TCP4", "PROXY TCP4 1.2.3.4 5.6.7.8 9 443\r\n", "1.2.3.4:9"},
	{"v1 TCP4, shortest", "PROXY TCP4 1.2.3.4 5.6.7.8 0 1\r\n", "1.2.3.4:0"},
	{"v1 TCP4, longest", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"},
	{"v1 TCP6", "PROXY TCP6 2001:db8::1 2001:db8::2 9 443\r\n", "[2001:db8::1]:9"},
	{"v1 TCP6, longest", "PROXY TCP6 " + strings.Repeat("ffff:", 7) + "ffff " + strings.Repeat("ffff:", 7) + "ffff 65535 65535\r\n", "[" + strings.Repeat("ffff:", 7) + "ffff]:65535"},
	{"v1 TCP6, mapped", "PROXY TCP6 ::ffff:1.2.3.4 ::ffff:5.6.7.8 9 443\r\n", "1.2.3.4:9"},
	{"v1 TCP6, an IPv4 address as nginx writes it", "PROXY TCP6 1.2.3.4 2001:db8::2 9 443\r\n", "1.2.3.4:9"},
	{"v1 UNKNOWN", "PROXY UNKNOWN\r\n", ""},
	{"v1 UNKNOWN with addresses", "PROXY UNKNOWN 1.2.3.4 5.6.7.8 9 443\r\n", ""},
	{"v1 UNKNOWN with anything", "PROXY UNKNOWN  \x00\xff \r\n", ""},
	{"v1 UNKNOWN, longest", "PROXY UNKNOWN " + strings.Repeat("f", 91) + "\r\n", ""},
	{"v2 TCP4", v2(0x21, 0x11, 12, block4), "1.2.3.4:9"},
	{"v2 TCP6", v2(0x21, 0x21, 36, ip6+ip6+ports), "[2001:db8::1]:9"},
	{"v2 TCP6, mapped", v2(0x21, 0x21, 36, mapped+mapped+ports), "1.2.3.4:9"},
	{"v2 UDP4", v2(0x21, 0x12, 12, block4), "1.2.3.4:9"},
	{"v2 with fields", v2(0x21, 0x11, 12+6, block4+"\x04\x00\x03abc"), "1.2.3.4:9"},
	{"v2 with fields that lie about their length", v2(0x21, 0x11, 12+6, block4+"\x04\xff\xffabc"), "1.2.3.4:9"},
	{"v2, longest", v2(0x21, 0x11, 65535, block4+strings.Repeat("x", 65535-12)), "1.2.3.4:9"},
	{"v2 unix", v2(0x21, 0x31, 216, strings.Repeat("/", 216)), ""},
	{"v2 PROXY without a family", v2(0x21, 0x00, 0, ""), ""},
	{"v2 PROXY without a family, with a block", v2(0x21, 0x00, 12, block4), ""},
	{"v2 LOCAL", v2(0x20, 0x00, 0, ""), ""},
	{"v2 LOCAL with a family and no block", v2(0x20, 0x11, 0, ""), ""},
	{"v2 LOCAL with a block", v2(0x20, 0x11, 12, block4), ""},
	{"v2 LOCAL with fields", v2(0x20, 0x00, 6, "\x04\x00\x03abc"), ""},
}

// What follows a header is left to be read, however the bytes arrive.
func TestReadHeader(t *testing.T) {
	for _, test := range headers {
		const after = "\r\nPROXY and what follows"
		for name, reader := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r },
			"bytes": iotest.OneByteReader,
			"half":  iotest.HalfReader,
		} {
			r := reader(strings.NewReader(test.header + after))
			client, err := readHeader(r)
			got := ""
			if client.IsValid() {
				got = client.String()
			}
			if err != nil || got != test.client {
				t.Errorf("%s, %s: %q, %v; want %q", test.name, name, got, err, test.client)
			}
			if rest, _ := io.ReadAll(r); string(rest) != after {
				t.Errorf("%s, %s: %q is left, want %q", test.name, name, rest, after)
			}
		}
	}
}

// Each strict prefix of a header is an end that came too early, the empty one
// an end before the header.
func TestReadHeaderCutOff(t *testing.T) {
	for _, test := range headers {
		for n := range min(len(test.header), 400) {
			want := io.ErrUnexpectedEOF
			if n == 0 {
				want = io.EOF
			}
			if client, err := readHeader(strings.NewReader(test.header[:n])); !errors.Is(err, want) || client.IsValid() {
				t.Errorf("%s, %d bytes: %v, %v; want %v", test.name, n, client, err, want)
			}
		}
	}
}

func TestReadHeaderBroken(t *testing.T) {
	for name, header := range map[string]string{
		"HTTP":                       "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
		"a short something":          "HELO\n",
		"TLS":                        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaaaaaaaaa",
		"v1 lower case":              "proxy TCP4 1.2.3.4 5.6.7.8 9 443\r\n",
		"v1 no space":                "PROXYTCP4  1.2.3.4 5.6.7.8 9 443\r\n",
		"v1 another protocol":        "PROXY UDP4 1.2.3.4 5.6.7.8 9 443\r\n",
		"v1 LF alone":                "PROXY TCP4 1.2.3.4 5.6.7.8 9 443\nGET / HTTP/1.1\r\n",
		"v1 CR within":               "PROXY TCP4 1.2.3.4\r5.6.7.8 9 443\r\n",
		"v1 an end within 15 bytes":  "PROXY TCP4\r\nabc and what follows\r\n",
		"v1 no end":                  "PROXY TCP4 " + strings.Repeat("1", 200),
		"v1 one byte too long":       "PROXY UNKNOWN " + strings.Repeat("f", 92) + "\r\n",
		"v1 two spaces":              "PROXY TCP4  1.2.3.4 5.6.7.8 9 443\r\n",
		"v1 a field more":            "PROXY TCP4 1.2.3.4 5.6.7.8 9 443 1\r\n",
		"v1 a field less":            "PROXY TCP4 1.2.3.4 5.6.7.8 9\r\n",
		"v1 UNKNOWN and more":        "PROXY UNKNOWNS 1.2.3.4 5.6.7.8 9 443\r\n",
		"v1 IPv6 in TCP4":            "PROXY TCP4 2001:db8::1 5.6.7.8 9 443\r\n",
		"v1 a mapped address":        "PROXY TCP4 ::ffff:1.2.3.4 5.6.7.8 9 443\r\n",
		"v1 a leading zero":          "PROXY TCP4 1.2.3.04 5.6.7.8 9 443\r\n",
		"v1 a zone":                  "PROXY TCP6 fe80::1%lo fe80::2 9 443\r\n",
		"v1 a name":                  "PROXY TCP4 localhost 5.6.7.8 9 443\r\n",
		"v1 a port's leading zero":   "PROXY TCP4 1.2.3.4 5.6.7.8 09 443\r\n",
		"v1 a port's sign":           "PROXY TCP4 1.2.3.4 5.6.7.8 +9 443\r\n",
		"v1 a port too large":        "PROXY TCP4 1.2.3.4 5.6.7.8 65536 443\r\n",
		"v1 the other port":          "PROXY TCP4 1.2.3.4 5.6.7.8 9 x\r\n",
		"v1 the other address":       "PROXY TCP4 1.2.3.4 5.6.7 9 443\r\n",
		"v2 version 1":               v2(0x11, 0x11, 12, block4),
		"v2 version 3":               v2(0x31, 0x11, 12, block4),
		"v2 another command":         v2(0x22, 0x11, 12, block4),
		"v2 another family":          v2(0x21, 0x41, 12, block4),
		"v2 another transport":       v2(0x21, 0x13, 12, block4),
		"v2 a family, no transport":  v2(0x21, 0x10, 12, block4),
		"v2 a transport, no family":  v2(0x21, 0x01, 12, block4),
		"v2 no block":                v2(0x21, 0x11, 0, ""),
		"v2 a short block":           v2(0x21, 0x11, 11, block4),
		"v2 a short block of IPv6":   v2(0x21, 0x21, 35, ip6+ip6+ports),
		"v2 a short block of unix":   v2(0x21, 0x31, 215, strings.Repeat("/", 216)),
		"v2 signature's last byte":   signature2[:11] + "\r\x21\x11\x00\x0c" + block4,
		"v2 LOCAL of another family": v2(0x20, 0x41, 12, block4),
	} {
		client, err := readHeader(strings.NewReader(header))
		if err == nil || client.IsValid() || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v, %v", name, client, err)
		}
	}
}

// FuzzReadHeader compares with go-proxyproto.
func FuzzReadHeader(f *testing.F) {
	for _, test := range headers {
		f.Add([]byte(test.header))
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte(v2(0x21, 0x13, 12, block4)))
	proxyproto.V1AcceptIPv4InTCP6 = true
	proxyproto.MaxV2HeaderSize = 65535
	f.Fuzz(func(t *testing.T, data []byte) {
		ours := bytes.NewReader(data)
		client, err := readHeader(ours)
		theirs := bufio.NewReaderSize(bytes.NewReader(data), max(len(data), 16))
		h, theirErr := proxyproto.Read(theirs)
		if (err == nil) != (theirErr == nil) {
			// We take the address of neither; they refuse.
			if err == nil && !client.IsValid() && errors.Is(theirErr, proxyproto.ErrUnsupportedAddressFamilyAndProtocol) {
				return
			}
			t.Fatalf("%q: %v, they say %v", data, err, theirErr)
		}
		if err != nil {
			return
		}
		if left := ours.Len(); left != theirs.Buffered() {
			t.Errorf("%q: %d bytes are left, they leave %d", data, left, theirs.Buffered())
		}
		var want netip.AddrPort
		if !h.Command.IsLocal() && !h.TransportProtocol.IsUnix() && h.SourceAddr != nil {
			addr := netip.MustParseAddrPort(h.SourceAddr.String())
			want = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
		}
		if client != want {
			t.Errorf("%q: %v, they say %v", data, client, want)
		}
	})
}
