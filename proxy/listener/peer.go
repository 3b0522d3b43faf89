package listener

import (
	"crypto/tls"
	"net"
	"net/netip"
	"strings"

	"mkd/proxy/httpmsg"
	"mkd/proxy/request"
)

// peer is what the requests of a connection have in common.
type peer struct {
	local, remote netip.AddrPort
	serverName    string              // that the client asked for in the TLS handshake
	cert          *request.ClientCert // nil: the client wasn't asked for one
}

// peerOf returns the peer of a connection, whose TLS handshake is done.
func (l *web) peerOf(c net.Conn) peer {
	p := peer{local: addrPort(c.LocalAddr()), remote: addrPort(c.RemoteAddr())}
	if secure, ok := c.(*tls.Conn); ok && l.clients != nil {
		state := secure.ConnectionState()
		l.identify(&p, &state)
	}
	return p
}

// identify adds what the TLS handshake has shown.
func (l *web) identify(p *peer, state *tls.ConnectionState) {
	p.serverName = strings.ToLower(state.ServerName)
	if l.clients.Asks(p.serverName) {
		p.cert = request.NewClientCert(state)
	}
}

// misdirected reports whether a request for a host needs another connection, since
// other rules for certificates of clients apply to it. So a client can't get around
// them by a Host that isn't what it asked for in the handshake.
func (l *web) misdirected(p *peer, host string) bool {
	if l.clients == nil || host == "" {
		return false
	}
	clean, err := httpmsg.CleanHost(host)
	return err == nil && l.clients.Misdirected(p.serverName, clean) // else it is malformed
}
