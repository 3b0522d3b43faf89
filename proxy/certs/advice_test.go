package certs

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/mholt/acmez/v3/acme"
)

func TestAdvice(t *testing.T) {
	problem := func(typ string) error { return acme.Problem{Type: acme.ProblemTypeNamespace + typ} }
	for _, test := range []struct {
		err  error
		want string
	}{
		{problem("connection"), "ports 443 and 80"},
		{problem("unauthorized"), "records of example.org lead to this machine"},
		{problem("dns"), "does the DNS have an A or AAAA record for example.org"},
		{problem("caa"), "CAA"},
		{problem("rateLimited"), "limit"},
		{problem("rejectedIdentifier"), "issues no certificates for example.org"},
		{problem("invalidContact"), "email"},
		{problem("externalAccountRequired"), "account"},
		{problem("serverInternal"), "the error of the CA"},
		{x509.UnknownAuthorityError{}, "ca_root"},
		{&net.DNSError{Err: "no such host", Name: "ca.example"}, "can the CA be reached"},
		{&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, "can the CA be reached"},
		{context.DeadlineExceeded, "can the CA be reached"},
		{&fs.PathError{Op: "open", Path: "/none", Err: fs.ErrPermission}, "written"},
		{errors.New("something else"), "the error"},
	} {
		if got := advice("example.org", fmt.Errorf("obtaining: %w", test.err), false); !strings.Contains(got, test.want) {
			t.Errorf("%v: %q, want %q", test.err, got, test.want)
		}
	}
	if got := advice("*.example.org", problem("unauthorized"), true); !strings.Contains(got, "the zone of _acme-challenge.example.org delegated") {
		t.Errorf("by dns-01: %q", got)
	}
	if got := advice("*.example.org", problem("caa"), true); !strings.Contains(got, "CAA") {
		t.Errorf("by dns-01: %q", got)
	}
}
