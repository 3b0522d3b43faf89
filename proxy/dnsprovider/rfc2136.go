package dnsprovider

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/libdns/libdns"
	"github.com/miekg/dns"
)

// updateTimeout bounds an update of the DNS, from dialing the server to its response.
const updateTimeout = 30 * time.Second

// RFC2136 has the server of a zone change it by dynamic updates over TCP (RFC 2136),
// which are signed by TSIG (RFC 8945).
type RFC2136 struct {
	// Server is HOST:PORT of the primary server of the zone.
	Server string

	// KeyFile has the key in the syntax of BIND, as tsig-keygen prints it. It is read
	// anew for each update. Empty: updates aren't signed.
	KeyFile string
}

// Check reads the key.
func (p *RFC2136) Check() error {
	_, err := p.key()
	return err
}

// AppendRecords implements libdns.RecordAppender.
func (p *RFC2136) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return p.update(ctx, zone, records, (*dns.Msg).Insert)
}

// DeleteRecords implements libdns.RecordDeleter.
func (p *RFC2136) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return p.update(ctx, zone, records, (*dns.Msg).Remove)
}

func (p *RFC2136) update(ctx context.Context, zone string, records []libdns.Record, change func(*dns.Msg, []dns.RR)) ([]libdns.Record, error) {
	k, err := p.key()
	if err != nil {
		return nil, err
	}
	zone = dns.Fqdn(zone)
	m := new(dns.Msg).SetUpdate(zone)
	var rrs []dns.RR
	for _, r := range records {
		rr, err := recordOf(zone, r.RR())
		if err != nil {
			return nil, err
		}
		rrs = append(rrs, rr)
	}
	change(m, rrs)
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	c := &dns.Client{Net: "tcp", Timeout: updateTimeout}
	if k != nil {
		c.TsigSecret = map[string]string{k.name: k.secret}
		m.SetTsig(k.name, k.algorithm, 300, time.Now().Unix())
	}
	reply, _, err := c.ExchangeContext(ctx, m, p.Server)
	switch {
	case err != nil && reply != nil && reply.Rcode == dns.RcodeNotAuth, err == nil && reply.Rcode == dns.RcodeNotAuth:
		return nil, fmt.Errorf("updating %s at %s: the server refused the key (NOTAUTH): does it know the key, is this its zone, and do the clocks agree?", zone, p.Server)
	case err != nil:
		return nil, fmt.Errorf("updating %s at %s: %w", zone, p.Server, err)
	case reply.Rcode == dns.RcodeRefused:
		return nil, fmt.Errorf("updating %s at %s: the server refused the update: may the key change this zone?", zone, p.Server)
	case reply.Rcode != dns.RcodeSuccess:
		return nil, fmt.Errorf("updating %s at %s: the server responded %s", zone, p.Server, dns.RcodeToString[reply.Rcode])
	}
	return records, nil
}

// recordOf returns a TXT record.
func recordOf(zone string, r libdns.RR) (dns.RR, error) {
	if r.Type != "TXT" {
		return nil, fmt.Errorf("records of type %s aren't supported", r.Type)
	}
	return &dns.TXT{
		Hdr: dns.RR_Header{Name: dns.Fqdn(libdns.AbsoluteName(r.Name, zone)), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: uint32(r.TTL.Seconds())},
		Txt: []string{r.Data},
	}, nil
}

// tsigKey is a key in the form that package dns wants.
type tsigKey struct{ name, algorithm, secret string }

// maxKeyFile bounds the file of a key, in bytes.
const maxKeyFile = 64 << 10

// key reads the key, nil if there is none.
func (p *RFC2136) key() (*tsigKey, error) {
	if p.KeyFile == "" {
		return nil, nil
	}
	info, err := os.Stat(p.KeyFile)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxKeyFile) {
		err = fmt.Errorf("not a file of %d bytes at most", maxKeyFile)
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(p.KeyFile)
	}
	if err != nil {
		return nil, fmt.Errorf("key_file: %w", err)
	}
	k, err := parseKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("key_file %s: %w", p.KeyFile, err)
	}
	return k, nil
}

var keyBlock = regexp.MustCompile(`^\s*key\s+"?([^"\s{]+)"?\s*\{([^{}]*)\}\s*;?\s*$`)

// parseKey reads a key statement of BIND. No error has a part of the secret.
func parseKey(text string) (*tsigKey, error) {
	var lines []string
	for line := range strings.Lines(text) {
		if trimmed := strings.TrimSpace(line); !strings.HasPrefix(trimmed, "#") && !strings.HasPrefix(trimmed, "//") {
			lines = append(lines, line)
		}
	}
	block := keyBlock.FindStringSubmatch(strings.Join(lines, ""))
	if block == nil {
		return nil, errors.New(`it isn't one key as tsig-keygen prints it: key "NAME" { algorithm hmac-sha256; secret "BASE64"; };`)
	}
	k := &tsigKey{name: dns.CanonicalName(block[1])}
	if _, ok := dns.IsDomainName(k.name); !ok {
		return nil, errors.New("the name of the key isn't a domain name")
	}
	for statement := range strings.SplitSeq(block[2], ";") {
		words := strings.Fields(statement)
		switch {
		case len(words) == 0:
		case len(words) == 2 && words[0] == "algorithm":
			k.algorithm = dns.CanonicalName(strings.Trim(words[1], `"`))
		case len(words) == 2 && words[0] == "secret":
			k.secret = strings.Trim(words[1], `"`)
		default:
			return nil, errors.New("a key has an algorithm and a secret, and nothing else")
		}
	}
	switch k.algorithm {
	case dns.HmacSHA1, dns.HmacSHA224, dns.HmacSHA256, dns.HmacSHA384, dns.HmacSHA512:
	default:
		return nil, fmt.Errorf("the algorithm %q isn't supported; make a key with tsig-keygen -a hmac-sha256", strings.TrimSuffix(k.algorithm, "."))
	}
	if secret, err := base64.StdEncoding.DecodeString(k.secret); err != nil || len(secret) == 0 {
		return nil, errors.New("the secret isn't Base64")
	}
	return k, nil
}
