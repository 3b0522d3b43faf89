package forward

import (
	"net/http"
	"net/netip"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"mkd/metavar"
	"mkd/proxy/httpmsg"
	"mkd/proxy/request"
	"mkd/share"
)

// Clients finds out who the client of a request is.
type Clients struct {
	// Trusted are the networks of proxies in front of mkd.
	Trusted []netip.Prefix
	// Field is the field of a trusted proxy that has the client's address, in its
	// canonical form.
	Field string
}

// Identify sets the client's address and what else only the header shows of the
// client, and removes from the header what a client could have forged. It is the
// one place where this is decided. What is left of the forwarding fields comes
// from trusted proxies.
func (c *Clients) Identify(r *request.Request) error {
	h := r.Header
	if r.Message == nil && r.ProtoMajor == 1 && r.ProtoMinor > 0 {
		r.Upgrade = upgradeOf(h)
	}
	trusted := share.Contains(c.Trusted, r.Remote.Addr())
	f := forwarded{client: r.Remote}
	if trusted {
		var err error
		if f, err = c.readForwarded(r.Remote, h); err != nil {
			return err
		}
	}
	session, key := h["X-Megaki-Session"], h["X-Megaki-Key"]
	dropOptions(h) // after it: a client's Connection could name fields of the proxies
	for name := range h {
		if hopByHop(name) || strings.HasPrefix(name, clientCertPrefix) || name == "Http2-Settings" || metavar.Hidden(name) || !trusted && c.forgeable(name) {
			delete(h, name)
		}
	}
	if !trusted {
		return nil
	}
	if ids := h["X-Request-Id"]; len(ids) == 1 {
		r.SetID(ids[0])
	}
	r.Client = f.client
	f.apply(h)
	if f.proto != "" {
		r.Secure = f.proto == "https"
		r.Local = netip.AddrPortFrom(r.Local.Addr(), portOf(r.Asked, f.proto))
	}
	delete(h, "X-Megaki-Session")
	delete(h, "X-Megaki-Key")
	if session != nil && r.Session == nil {
		h["X-Megaki-Session"] = session
		if key != nil {
			h["X-Megaki-Key"] = key
		}
	}
	return nil
}

// forgeable reports whether a field names the client, or what the client asked
// for, which only a proxy knows.
func (c *Clients) forgeable(name string) bool {
	return name == "Forwarded" || name == "X-Real-Ip" || name == "X-Request-Id" || name == c.Field ||
		strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Megaki-")
}

// forwarded is what trusted proxies report about a request.
type forwarded struct {
	client   netip.AddrPort
	chain    []string // addresses of X-Forwarded-For from the client's on, which trusted proxies wrote
	elements []string // the same of Forwarded
	proto    string   // http or https; empty: not reported
	host     string   // empty: not reported
}

// readForwarded reads what a trusted proxy at the address peer reports.
func (c *Clients) readForwarded(peer netip.AddrPort, h http.Header) (forwarded, error) {
	f := forwarded{client: peer}
	switch field := c.Field; {
	case field == "Forwarded", field == "X-Forwarded-For" && h[field] == nil && h["Forwarded"] != nil:
		return f, c.readElements(&f, h["Forwarded"])
	case field == "X-Forwarded-For":
		c.readChain(&f, h[field])
	default:
		if err := readClient(&f, field, h[field]); err != nil {
			return f, err
		}
	}
	f.proto = schemeOf(firstOf(h["X-Forwarded-Proto"]))
	f.host = validHost(firstOf(h["X-Forwarded-Host"]))
	return f, nil
}

// readChain reads the addresses of X-Forwarded-For from the right, past those of
// trusted proxies, to the client's. What is to the left of it may be forged.
func (c *Clients) readChain(f *forwarded, lines []string) {
	for _, entry := range slices.Backward(strings.Split(strings.Join(lines, ","), ",")) {
		a, ok := forwardedAddr(textproto.TrimString(entry))
		if !ok {
			break
		}
		f.client = a
		f.chain = append(f.chain, a.Addr().String())
		if !share.Contains(c.Trusted, a.Addr()) {
			break
		}
	}
	slices.Reverse(f.chain)
}

// readElements does the same with the elements of Forwarded (RFC 7239). A
// malformed field is an error: a client whose field hides those of the proxies
// would pass for the nearest of them.
func (c *Clients) readElements(f *forwarded, lines []string) error {
	elements, err := httpmsg.ParseForwarded(lines)
	if err != nil {
		return err
	}
	for _, e := range slices.Backward(elements) {
		a, ok := forwardedAddr(e.For)
		if !ok {
			break
		}
		f.client = a
		f.elements = append(f.elements, e.Text)
		f.proto, f.host = schemeOf(e.Proto), validHost(e.Host) // in the end those of the client's element
		if !share.Contains(c.Trusted, a.Addr()) {
			break
		}
	}
	slices.Reverse(f.elements)
	return nil
}

// readClient reads a field that has the client's address and nothing else.
func readClient(f *forwarded, name string, lines []string) error {
	if len(lines) == 0 { // the proxy's own request
		return nil
	}
	a, ok := forwardedAddr(textproto.TrimString(lines[0]))
	if !ok || len(lines) > 1 {
		return request.Malformed("the field " + name + " isn't one address")
	}
	f.client = a
	return nil
}

// apply makes the header say what f does, and nothing that a client may have
// forged.
func (f *forwarded) apply(h http.Header) {
	setOrDelete(h, "X-Forwarded-For", strings.Join(f.chain, ", "))
	setOrDelete(h, "Forwarded", strings.Join(f.elements, ", "))
	if f.elements != nil || h["X-Forwarded-Proto"] != nil {
		setOrDelete(h, "X-Forwarded-Proto", f.proto)
	}
	if f.elements != nil || h["X-Forwarded-Host"] != nil {
		setOrDelete(h, "X-Forwarded-Host", f.host)
	}
	if h["X-Real-Ip"] != nil {
		h["X-Real-Ip"] = []string{f.client.Addr().String()}
	}
}

func setOrDelete(h http.Header, name, value string) {
	if value == "" {
		delete(h, name)
		return
	}
	h[name] = []string{value}
}

// firstOf returns the first element of a list. Where several proxies have
// written one, it is that of the outermost.
func firstOf(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	first, _, _ := strings.Cut(lines[0], ",")
	return textproto.TrimString(first)
}

// schemeOf returns http or https for a scheme that a proxy reports, "" for others.
// A WebSocket begins as an HTTP request (RFC 6455, section 1.3).
func schemeOf(proto string) string {
	switch strings.ToLower(proto) {
	case "https", "wss":
		return "https"
	case "http", "ws":
		return "http"
	}
	return ""
}

// validHost returns a host if it is one, else "".
func validHost(host string) string {
	if _, err := httpmsg.CleanHost(host); err != nil {
		return ""
	}
	return host
}

// portOf returns the port of a Host field, or that of the scheme.
func portOf(host, scheme string) uint16 {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		if n, err := strconv.ParseUint(host[i+1:], 10, 16); err == nil {
			return uint16(n)
		}
	}
	if scheme == "https" {
		return 443
	}
	return 80
}

// forwardedAddr parses an address with or without a port.
func forwardedAddr(s string) (netip.AddrPort, bool) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(a.Unmap(), 0), true
	}
	a, err := netip.ParseAddrPort(s)
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), err == nil
}

// SetForwarded adds to a request what an HTTP server has no other way to learn:
// who the client is, and what it asked for. PHP learns it from REMOTE_ADDR, HTTPS,
// SERVER_PORT and HTTP_HOST, and would take these fields for a proxy's.
func SetForwarded(r *request.Request) {
	h := r.Header
	chain := strings.Join(h["X-Forwarded-For"], ", ")
	if chain == "" && r.Client != r.Remote {
		chain = r.Client.Addr().String()
	}
	if chain != "" {
		chain += ", "
	}
	r.SetField("X-Forwarded-For", chain+r.RemoteAddress())
	proto := "http"
	if r.Secure {
		proto = "https"
	}
	r.SetField("X-Forwarded-Proto", proto)
	if r.Asked != "" && h["X-Forwarded-Host"] == nil {
		r.SetField("X-Forwarded-Host", r.Asked)
	}
	if elements := h["Forwarded"]; elements != nil {
		r.SetField("Forwarded", strings.Join(elements, ", ")+", for="+nodeOf(r.Remote.Addr()))
	}
	SetClientCert(r)
	if r.Session != nil {
		r.SetField("X-Megaki-Session", r.Session.String())
		if r.Key != "" {
			r.SetField("X-Megaki-Key", r.Key)
		}
	}
}

// clientCertPrefix is what the fields begin with that name a client's certificate. They
// are removed from all requests, those of trusted proxies included: many of them pass on
// what their clients send.
const clientCertPrefix = "X-Ssl-Client-"

// SetClientCert adds the certificate of a client that was asked for one.
func SetClientCert(r *request.Request) {
	c := r.Cert
	if c == nil {
		return
	}
	r.SetField(clientCertPrefix+"Verify", c.Result())
	if c.Verified() {
		r.SetField(clientCertPrefix+"S-Dn", c.Subject)
		r.SetField(clientCertPrefix+"I-Dn", c.Issuer)
		r.SetField(clientCertPrefix+"Serial", c.Serial)
		r.SetField(clientCertPrefix+"Fingerprint", c.Fingerprint)
	}
}

// SetRequestID adds the id of a request, for the logs of what is behind mkd.
func SetRequestID(r *request.Request) { r.SetField("X-Request-Id", r.ID()) }

// nodeOf returns an address as an element of Forwarded has it (RFC 7239, section 6).
func nodeOf(a netip.Addr) string {
	if a.Is6() {
		return `"[` + a.WithZone("").String() + `]"`
	}
	return a.String()
}
