package request

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"strings"
)

// ClientCert is the certificate of a client, which the TLS handshake has verified. All
// is empty if the client was asked for one, and had none.
type ClientCert struct {
	Subject, Issuer string // as in RFC 4514; all but printable ASCII is escaped
	Serial          string // in hex
	Fingerprint     string // SHA-256, in hex
}

// NewClientCert returns the certificate of a connection whose client was asked for one.
func NewClientCert(state *tls.ConnectionState) *ClientCert {
	if len(state.VerifiedChains) == 0 {
		return new(ClientCert)
	}
	leaf := state.PeerCertificates[0]
	sum := sha256.Sum256(leaf.Raw)
	return &ClientCert{
		Subject:     printable(leaf.Subject.String()),
		Issuer:      printable(leaf.Issuer.String()),
		Serial:      strings.ToUpper(hex.EncodeToString(leaf.SerialNumber.Bytes())),
		Fingerprint: hex.EncodeToString(sum[:]),
	}
}

// Verified reports whether the client has a certificate that was verified. c may be nil.
func (c *ClientCert) Verified() bool { return c != nil && c.Fingerprint != "" }

// Result returns SUCCESS or NONE, as mod_ssl and nginx have it in SSL_CLIENT_VERIFY.
func (c *ClientCert) Result() string {
	if c.Verified() {
		return "SUCCESS"
	}
	return "NONE"
}

// printable escapes what can't be in a header field, or not in every one (RFC 4514,
// section 2.4).
func printable(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' {
			fmt.Fprintf(&b, "\\%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
