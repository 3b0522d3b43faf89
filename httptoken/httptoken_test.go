package httptoken

import (
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
