// Package dnsprovider sets and removes records of the DNS, as the challenge dns-01 of an
// ACME authority needs them (RFC 8555, section 8.4): by dynamic updates (RFC 2136), by a
// program, or by a libdns provider that is built in.
package dnsprovider

import "github.com/libdns/libdns"

// Provider adds and deletes records of a zone. It is safe for use by several goroutines.
type Provider interface {
	libdns.RecordAppender
	libdns.RecordDeleter
}
