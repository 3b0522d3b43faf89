package httpfield

import (
	"net/http"
	"strings"
	"testing"
)

func TestTokens(t *testing.T) {
	const all = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" // RFC 9110, section 5.6.2
	for c := range 256 {
		want := c < 128 && strings.ContainsRune(all, rune(c))
		if IsTokenByte(byte(c)) != want || IsToken("a"+string([]byte{byte(c)})) != want {
			t.Errorf("%q: %v, want %v", byte(c), IsTokenByte(byte(c)), want)
		}
	}
	if IsToken("") || !IsToken(all) {
		t.Error("the empty string is no token, all characters of tokens are one")
	}
}

func TestCanonical(t *testing.T) {
	for _, name := range []string{"Content-Type", "content-type", "CONTENT-TYPE", "cOnTeNt-TyPe", "X-", "-x", "x--y", "ETag", "Etag", "X-1a", "a", "A", "WWW-Authenticate", "!a", "x_y", "X-*b"} {
		if got, ok := Canonical(name); !ok || got != http.CanonicalHeaderKey(name) {
			t.Errorf("%q: %q, %v; net/http has %q", name, got, ok, http.CanonicalHeaderKey(name))
		}
	}
	for _, name := range []string{"", "a b", "A b", "Content-Type ", "x:", "Ä", "ab\x00", "aB\x7f"} {
		if got, ok := Canonical(name); ok {
			t.Errorf("%q is taken for a name: %q", name, got)
		}
	}
}

func TestValues(t *testing.T) {
	for c := range 256 {
		want := c == '\t' || c >= ' ' && c != 0x7f
		s := "a" + string([]byte{byte(c)})
		if at := ControlIn(s); IsValue(s) != want || (at == 1) == want || at == 0 {
			t.Errorf("%q: %v, at %d", s, IsValue(s), at)
		}
	}
	if !IsValue("") {
		t.Error("a value may be empty")
	}
}

func TestLists(t *testing.T) {
	for _, c := range []struct {
		lines []string
		token string
		want  bool
	}{
		{nil, "close", false},
		{[]string{"close"}, "close", true},
		{[]string{"keep-alive", "a ,\tClose ,b"}, "close", true},
		{[]string{"closed, not-close"}, "close", false},
		{[]string{`"close"`}, "close", false},
	} {
		if HasItem(c.lines, c.token) != c.want {
			t.Errorf("%q in %q: want %v", c.token, c.lines, c.want)
		}
	}
}

func TestLengths(t *testing.T) {
	for s, want := range map[string]int64{"0": 0, "007": 7, "9223372036854775807": 1<<63 - 1} {
		if n, ok := ParseLength(s); n != want || !ok {
			t.Errorf("%q: %d, %v", s, n, ok)
		}
	}
	for _, s := range []string{"", "-1", "+1", " 1", "1 ", "1,1", "1_0", "0x1", "1e3", "9223372036854775808", "٣"} {
		if n, ok := ParseLength(s); ok {
			t.Errorf("%q is taken for a length: %d", s, n)
		}
	}
}
