package httptoken

import (
	"net/http"
	"strings"
	"testing"
)

func TestTokens(t *testing.T) {
	const all = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" // RFC 9110, section 5.6.2
	for c := range 256 {
		want := c < 128 && strings.ContainsRune(all, rune(c))
		if IsByte(byte(c)) != want || Valid("a"+string([]byte{byte(c)})) != want {
			t.Errorf("%q: %v, want %v", byte(c), IsByte(byte(c)), want)
		}
	}
	if Valid("") || !Valid(all) {
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

func TestAmbiguous(t *testing.T) {
	for name, want := range map[string]bool{"": false, "Content-Type": false, "Content_Type": true, "_": true, "X.Y": true, "X-1!": false} {
		if Ambiguous(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
