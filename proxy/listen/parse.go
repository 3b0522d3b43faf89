package listen

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// Sizes of headers, in bytes.
const (
	minHeader1 = 15  // "PROXY UNKNOWN\r\n"
	maxHeader1 = 107 // section 2.1
	header2    = 16  // before the addresses of version 2
)

// How headers begin.
const (
	signature1 = "PROXY "
	signature2 = "\r\n\r\n\x00\r\nQUIT\n"
)

// Bytes 12 and 13 of version 2 (section 2.2).
const (
	version2     = 0x2
	commandLocal = 0x0 // the proxy's own connection, not a client's
	commandProxy = 0x1

	familyUnspec = 0x0
	familyIPv4   = 0x1
	familyIPv6   = 0x2
	familyUnix   = 0x3
	maxTransport = 0x2 // unspecified, stream, datagram
)

// errNoHeader is the error of a connection without a header.
var errNoHeader = errors.New("the connection begins with something else")

// readHeader reads a header of the PROXY protocol, and not a byte of what comes
// after it. It returns the client's address, with IPv4 unmapped, or the zero value
// if the header has none. io.EOF is a connection that ended before its first byte.
func readHeader(r io.Reader) (netip.AddrPort, error) {
	var buf [maxHeader1]byte
	first := buf[:minHeader1] // either version has as many
	if n, err := io.ReadFull(r, first); err != nil {
		if n > 0 && !beginsHeader(first[:n]) {
			return netip.AddrPort{}, fmt.Errorf("%w: %q", errNoHeader, first[:n])
		}
		return netip.AddrPort{}, err
	}
	switch {
	case !beginsHeader(first):
		return netip.AddrPort{}, fmt.Errorf("%w: %q", errNoHeader, first)
	case first[0] == signature1[0]:
		return readHeader1(r, buf[:], len(first))
	default:
		return readHeader2(r, buf[:], len(first))
	}
}

// beginsHeader reports whether p begins, or is the beginning of, either
// signature.
func beginsHeader(p []byte) bool {
	for _, s := range []string{signature1, signature2} {
		if n := min(len(p), len(s)); string(p[:n]) == s[:n] {
			return true
		}
	}
	return false
}

// readHeader1 reads on until the line of version 1 is whole. At least "\r\n" is
// missing while there is none of it, so two bytes at a time read no byte of
// what follows.
func readHeader1(r io.Reader, buf []byte, n int) (netip.AddrPort, error) {
	for {
		line := buf[:n]
		if bytes.HasSuffix(line, []byte("\r\n")) {
			return parseHeader1(string(line[:n-2]))
		}
		more := 2
		if line[n-1] == '\r' {
			more = 1
		}
		if n+more > len(buf) || bytes.IndexByte(line, '\n') >= 0 {
			return netip.AddrPort{}, fmt.Errorf("no line of version 1, which ends with CR LF after %d bytes at most: %q", maxHeader1, line)
		}
		if _, err := io.ReadFull(r, buf[n:n+more]); err != nil {
			return netip.AddrPort{}, noEOF(err)
		}
		n += more
	}
}

// parseHeader1 parses a line of version 1 (section 2.1), without its end.
func parseHeader1(line string) (netip.AddrPort, error) {
	fields := strings.Split(line, " ")
	if fields[1] == "UNKNOWN" { // what follows is to be ignored
		return netip.AddrPort{}, nil
	}
	broken := fmt.Errorf("broken header of version 1: %q", line)
	if len(fields) != 6 || fields[1] != "TCP4" && fields[1] != "TCP6" {
		return netip.AddrPort{}, broken
	}
	var addrs [2]netip.Addr
	var ports [2]uint16
	for i := range 2 {
		addr, err := netip.ParseAddr(fields[2+i])
		// nginx writes IPv4 addresses in lines of TCP6 if only one of the two
		// is such; the specification doesn't mention that.
		if err != nil || addr.Zone() != "" || fields[1] == "TCP4" && !addr.Is4() {
			return netip.AddrPort{}, broken
		}
		port, err := strconv.ParseUint(fields[4+i], 10, 16)
		if err != nil || strconv.FormatUint(port, 10) != fields[4+i] {
			return netip.AddrPort{}, broken
		}
		addrs[i], ports[i] = addr.Unmap(), uint16(port)
	}
	return netip.AddrPortFrom(addrs[0], ports[0]), nil
}

// readHeader2 reads the rest of a header of version 2 (section 2.2).
func readHeader2(r io.Reader, buf []byte, n int) (netip.AddrPort, error) {
	if _, err := io.ReadFull(r, buf[n:header2]); err != nil {
		return netip.AddrPort{}, noEOF(err)
	}
	version, command := buf[12]>>4, buf[12]&0xF
	family, transport := buf[13]>>4, buf[13]&0xF
	length := int(binary.BigEndian.Uint16(buf[14:]))

	addresses := 0 // the size of both, with their ports
	switch family {
	case familyIPv4:
		addresses = 2*4 + 2*2
	case familyIPv6:
		addresses = 2*16 + 2*2
	case familyUnix:
		addresses = 2 * 108
	}
	switch {
	case version != version2 || command > commandProxy,
		family > familyUnix || transport > maxTransport,
		(family == familyUnspec) != (transport == 0),
		command == commandProxy && length < addresses:
		return netip.AddrPort{}, fmt.Errorf("broken header of version 2: % x", buf[:header2])
	}

	known := 0
	if command == commandProxy && family != familyUnix {
		known = addresses
	}
	// A proxy that accepts HTTP/3 reports datagrams, with the client's address in
	// the same form.
	if _, err := io.ReadFull(r, buf[:known]); err != nil {
		return netip.AddrPort{}, noEOF(err)
	}
	var client netip.AddrPort
	if half := (known - 4) / 2; known > 0 {
		addr, _ := netip.AddrFromSlice(buf[:half])
		client = netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(buf[2*half:]))
	}
	// The rest is more about the client's connection, and isn't needed. It is 64 KiB
	// at most.
	for rest := length - known; rest > 0; {
		n, err := io.ReadFull(r, buf[:min(rest, len(buf))])
		if err != nil {
			return netip.AddrPort{}, noEOF(err)
		}
		rest -= n
	}
	return client, nil
}

// noEOF distinguishes an end within a header from one before it.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
