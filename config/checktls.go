package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// check implements kind: each certificate has one source, and all it needs.
func (h *HTTPS) check(w *walker, _ *Config) {
	t := &h.TLS
	if w.at(&t.ACME) == nil { // it isn't a block
		return
	}
	alone := len(t.Certificates) == 0 && w.sound(&t.Certificates)
	if w.checkSource(&t.CertificateSource, t, alone) {
		w.checkHostsNeeded(&t.CertificateSource, &h.Hosts)
	} else if len(h.Hosts) > 0 && !alone && !w.hasSource(&t.CertificateSource) && w.sound(&h.Hosts, t) {
		w.wrong(&h.Hosts, "tls itself has no certificate that is for them; move them to those in tls.certificates")
	}
	w.checkOnDemand(h)
	if h.HTTP3 && len(h.ProxyProtocol.From) > 0 && w.sound(&h.HTTP3, &h.ProxyProtocol.From) {
		w.wrong(&h.HTTP3, "HTTP/3 has no PROXY header, so that the load balancers of proxy_protocol can't pass the client's address on; remove http3")
	}
	names := make(map[string]string) // the paths of those before
	w.checkHosts(&t.CertificateSource, h.Hosts, names)
	for i := range t.Certificates {
		c := &t.Certificates[i]
		if w.at(&c.ACME) == nil {
			continue
		}
		if w.checkSource(&c.CertificateSource, c, true) {
			w.checkHostsNeeded(&c.CertificateSource, &c.Hosts)
		}
		w.checkHosts(&c.CertificateSource, c.Hosts, names)
	}
}

// warn implements kind: certificates that no public authority can give.
func (h *HTTPS) warn(w *walker, cfg *Config) {
	public := w.warnPublic(&h.TLS.CertificateSource, h.Hosts)
	for i := range h.TLS.Certificates {
		c := &h.TLS.Certificates[i]
		public = w.warnPublic(&c.CertificateSource, c.Hosts) || public
	}
	if !public || portOf(h.Address) == "443" {
		return
	}
	for i := range cfg.Listeners {
		if cfg.Listeners[i].HTTP != nil {
			return // port 80 may be forwarded to it
		}
	}
	w.odd(&h.Address, "the authority will ask on port 443 or 80, and no listener is there; unless port 443 is forwarded to this one, there will be no certificate")
}

// warnPublic warns of names that no public authority knows, and reports whether such
// an authority will come to the listeners.
func (w *walker) warnPublic(s *CertificateSource, hosts []string) bool {
	if s.ACME == nil || w.at(&s.ACME.CA).given { // an authority of one's own may do all this
		return false
	}
	for i, host := range hosts {
		if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost") {
			w.odd(&hosts[i], "a public authority gives no certificate for this, as it isn't a name of the public DNS; see internal: true for development")
		}
	}
	return s.ACME.DNS == nil
}

// hasSource reports whether a source is given, or was meant to be.
func (w *walker) hasSource(s *CertificateSource) bool {
	return w.at(&s.ACME).given || s.Cert != "" || s.Key != "" || s.Internal || !w.sound(&s.Cert, &s.Key)
}

// checkSource checks that a block has one source of certificates, if it needs one,
// and reports whether that makes sense to look at.
func (w *walker) checkSource(s *CertificateSource, block any, needed bool) bool {
	files := s.Cert != "" || s.Key != "" || !w.sound(&s.Cert, &s.Key)
	n := 0
	for _, given := range []bool{w.at(&s.ACME).given, files, s.Internal} {
		if given {
			n++
		}
	}
	switch {
	case n > 1:
		w.wrong(block, "it has more than one source of certificates; keep one of acme, cert with key, and internal: true")
		return false
	case n == 0 && needed && w.sound(block):
		w.wrong(block, "where do the certificates come from? Give acme, or cert and key, or internal: true")
		return false
	case n == 0:
		return false
	case files && s.Cert == "" && w.sound(&s.Cert):
		w.wrong(&s.Key, "cert and key go together; give cert too")
	case files && s.Key == "" && w.sound(&s.Key):
		w.wrong(&s.Cert, "cert and key go together; give key too")
	}
	if s.ACME != nil {
		w.checkACME(s.ACME)
	}
	return true
}

// checkHostsNeeded checks that the names are known where no file has them.
func (w *walker) checkHostsNeeded(s *CertificateSource, hosts *[]string) {
	onDemand := s.ACME != nil && (s.ACME.OnDemand != nil || !w.sound(&s.ACME.OnDemand))
	if (w.at(&s.ACME).given || s.Internal) && !onDemand && len(*hosts) == 0 && w.sound(hosts) {
		w.wrong(hosts, "which names are the certificates for? List them, as in hosts: [example.org]")
	}
}

// checkHosts checks the names that a certificate is for. before has those of the
// certificates before it, with their places.
func (w *walker) checkHosts(s *CertificateSource, hosts []string, before map[string]string) {
	own := make(map[string]bool)
	for i := range hosts {
		host := &hosts[i]
		switch at, taken := before[*host]; {
		case !w.sound(host):
		case own[*host]:
			w.wrong(host, "%s is a duplicate; take one out", *host)
		case taken:
			w.wrong(host, "%s has this name already, and a name has one certificate; take one out", at)
		case s.ACME != nil && s.ACME.DNS == nil && strings.HasPrefix(*host, "*.") && w.sound(&s.ACME.DNS):
			w.wrong(host, "an authority gives wildcard certificates only by dns-01; give acme a dns block, as in dns: {rfc2136: {server: 192.0.2.53:53, key_file: tsig.key}}, or list the names")
		}
		own[*host] = true
	}
	for i := range hosts {
		if _, taken := before[hosts[i]]; !taken && w.sound(&hosts[i]) {
			before[hosts[i]] = w.at(&hosts[i]).path
		}
	}
}

// checkOnDemand checks that it is clear which authority is asked for any other name.
func (w *walker) checkOnDemand(h *HTTPS) {
	sources := []*CertificateSource{&h.TLS.CertificateSource}
	for i := range h.TLS.Certificates {
		sources = append(sources, &h.TLS.Certificates[i].CertificateSource)
	}
	first := ""
	for _, s := range sources {
		switch {
		case s.ACME == nil || s.ACME.OnDemand == nil:
		case first != "":
			w.wrong(&s.ACME.OnDemand, "%s is there already, and a name that is in no hosts has one certificate; remove one", first)
		default:
			first = w.at(&s.ACME.OnDemand).path
		}
	}
}

// checkACME checks the settings of an authority.
func (w *walker) checkACME(a *ACME) {
	if w.at(&a.AgreeTerms) != nil && w.sound(&a.AgreeTerms) && !a.AgreeTerms {
		w.wrong(&a.AgreeTerms, "authorities give certificates only to those who agree to their terms of service; read them, and set agree_terms: true")
	}
	if d := a.DNS; d != nil && w.at(&d.Exec) != nil && w.at(&d.Exec).given && w.sound(&d.Exec) && (len(d.Exec) == 0 || d.Exec[0] == "") {
		w.wrong(&d.Exec, "it is empty; give the program that changes the DNS")
	}
}

// asksClients reports whether some clients of the listener are asked for a certificate.
func (h *HTTPS) asksClients() bool {
	for _, c := range h.Certificates() {
		if c.ClientAuth != nil {
			return true
		}
	}
	return false
}

// Certificates returns the certificates of the listener in their order: that of `tls`
// itself comes first. Each has the rules for clients that apply to it, and its Path.
func (h *HTTPS) Certificates() (all []Certificate) {
	if s := &h.TLS.CertificateSource; s.ACME != nil || s.Cert != "" || s.Internal {
		all = append(all, Certificate{Hosts: h.Hosts, CertificateSource: *s, ClientAuth: h.TLS.ClientAuth, Path: "https.tls"})
	}
	for i, c := range h.TLS.Certificates {
		if c.ClientAuth == nil {
			c.ClientAuth = h.TLS.ClientAuth
		}
		c.Path = fmt.Sprintf("https.tls.certificates[%d]", i)
		all = append(all, c)
	}
	return all
}
