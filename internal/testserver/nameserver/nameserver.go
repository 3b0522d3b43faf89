// Package nameserver is a DNS server for tests, which takes dynamic updates.
package nameserver

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Server is the only server of a zone. Every name in it, and outside of it, has the
// address 127.0.0.1. Updates of TXT records must be signed by the key in KeyFile.
type Server struct {
	Address string // HOST:PORT, by UDP and TCP
	KeyFile string // as tsig-keygen prints it

	zone string
	mu   sync.Mutex
	txt  map[string][]string // by name
	log  []string            // all updates
}

const (
	keyName = "mkd-test."
	secret  = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0"
)

// Start starts a server of a zone, as example.org., until the test ends.
func Start(t testing.TB, zone string) *Server {
	t.Helper()
	s := &Server{zone: dns.CanonicalName(zone), txt: make(map[string][]string), KeyFile: filepath.Join(t.TempDir(), "tsig.key")}
	key := fmt.Sprintf("key %q {\n\talgorithm hmac-sha256;\n\tsecret %q;\n};\n", strings.TrimSuffix(keyName, "."), secret)
	if err := os.WriteFile(s.KeyFile, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	var tcp net.Listener
	var udp net.PacketConn
	for range 20 { // the same port may be taken for UDP
		var err error
		if tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if udp, err = net.ListenPacket("udp", tcp.Addr().String()); err == nil {
			break
		}
		tcp.Close()
	}
	if udp == nil {
		t.Fatal("no port is free for UDP and TCP")
	}
	s.Address = tcp.Addr().String()
	for _, d := range []*dns.Server{{Listener: tcp}, {PacketConn: udp}} {
		d.Handler, d.TsigSecret = s, map[string]string{keyName: secret}
		d.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept } // updates, too
		go d.ActivateAndServe()
		t.Cleanup(func() { d.Shutdown() })
	}
	return s
}

// TXT returns the values of a name, as it is at present.
func (s *Server) TXT(name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.txt[dns.CanonicalName(name)])
}

// Set sets a record of a name, as another way than an update would.
func (s *Server) Set(name, value string, there bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(dns.CanonicalName(name), value, there)
}

// Log returns all changes: "+ NAME VALUE" and "- NAME VALUE".
func (s *Server) Log() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

func (s *Server) set(name, value string, there bool) {
	values := slices.DeleteFunc(s.txt[name], func(v string) bool { return v == value })
	if there {
		s.txt[name] = append(values, value)
		s.log = append(s.log, "+ "+name+" "+value)
		return
	}
	s.txt[name] = values
	s.log = append(s.log, "- "+name+" "+value)
}

// ServeDNS implements dns.Handler.
func (s *Server) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	reply := new(dns.Msg).SetReply(r)
	reply.Authoritative = true
	switch {
	case r.Opcode == dns.OpcodeUpdate:
		reply.Rcode = s.update(w, r)
		if t := r.IsTsig(); t != nil && w.TsigStatus() == nil {
			reply.SetTsig(t.Hdr.Name, t.Algorithm, 300, int64(t.TimeSigned))
		}
	case len(r.Question) == 1:
		s.fill(reply, r.Question[0])
	}
	w.WriteMsg(reply)
}

func (s *Server) update(w dns.ResponseWriter, r *dns.Msg) int {
	if r.IsTsig() == nil {
		return dns.RcodeRefused
	}
	if w.TsigStatus() != nil || len(r.Question) != 1 || dns.CanonicalName(r.Question[0].Name) != s.zone {
		return dns.RcodeNotAuth
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rr := range r.Ns {
		txt, ok := rr.(*dns.TXT)
		if !ok || !dns.IsSubDomain(s.zone, txt.Hdr.Name) {
			return dns.RcodeNotZone
		}
		s.set(dns.CanonicalName(txt.Hdr.Name), strings.Join(txt.Txt, ""), txt.Hdr.Class == dns.ClassINET)
	}
	return dns.RcodeSuccess
}

func (s *Server) fill(reply *dns.Msg, q dns.Question) {
	name := dns.CanonicalName(q.Name)
	header := func(kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: q.Name, Rrtype: kind, Class: dns.ClassINET, Ttl: 1}
	}
	soa := &dns.SOA{Hdr: header(dns.TypeSOA), Ns: "ns." + s.zone, Mbox: "root." + s.zone, Serial: 1, Refresh: 1, Retry: 1, Expire: 1, Minttl: 1}
	soa.Hdr.Name = s.zone
	switch q.Qtype {
	case dns.TypeA:
		reply.Answer = []dns.RR{&dns.A{Hdr: header(dns.TypeA), A: net.IPv4(127, 0, 0, 1)}}
	case dns.TypeSOA:
		if name == s.zone {
			reply.Answer = []dns.RR{soa}
		}
	case dns.TypeTXT:
		for _, value := range s.TXT(name) {
			reply.Answer = append(reply.Answer, &dns.TXT{Hdr: header(dns.TypeTXT), Txt: []string{value}})
		}
	}
	if len(reply.Answer) == 0 {
		reply.Ns = []dns.RR{soa}
	}
}
