package migrate

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// duration returns a time of nginx in mkd's form, "" if it isn't one. Without a unit it
// is in seconds.
func duration(s string) string {
	if s == "0" || s == "0s" {
		return "0"
	}
	if s == "" {
		return ""
	}
	var total time.Duration
	for rest := s; rest != ""; {
		i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if i == 0 {
			return ""
		}
		number, unit := rest, "s"
		if i > 0 {
			number, unit = rest[:i], rest[i:]
			end := strings.IndexAny(unit, "0123456789")
			if end >= 0 {
				unit = unit[:end]
			}
			rest = rest[i+len(unit):]
		} else {
			rest = ""
		}
		n, err := strconv.Atoi(number)
		each, known := map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour,
			"d": 24 * time.Hour, "w": 7 * 24 * time.Hour, "M": 30 * 24 * time.Hour, "y": 365 * 24 * time.Hour}[unit]
		if err != nil || !known || n > 1<<30 || total > 1<<60 {
			return ""
		}
		total += time.Duration(n) * each
	}
	return trimUnits(total.String())
}

// atMost returns a time in mkd's form, or most if that is less.
func atMost(t string, most time.Duration) string {
	if d, err := time.ParseDuration(t); err == nil && d > most {
		return trimUnits(most.String())
	}
	return t
}

// trimUnits returns 5m for 5m0s, and 1h for 1h0m0s.
func trimUnits(s string) string {
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

var sizePattern = regexp.MustCompile(`^([0-9]{1,9})([kKmMgG]?)$`)

// size returns a size of nginx in mkd's form, "" if it isn't one.
func size(s string) string {
	m := sizePattern.FindStringSubmatch(s)
	if m == nil {
		return ""
	}
	n, _ := strconv.Atoi(m[1])
	units := []string{"B", "KiB", "MiB", "GiB"}
	u := strings.Index(" kmg", strings.ToLower(m[2]))
	if m[2] == "" {
		u = 0
	}
	for u < len(units)-1 && n != 0 && n%1024 == 0 {
		n, u = n/1024, u+1
	}
	return strconv.Itoa(n) + units[u]
}

// networks returns addresses and networks in the form that mkd takes, without those
// that aren't any.
func networks(list []string) (valid []string) {
	for _, s := range list {
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			valid = append(valid, a.Unmap().String())
		} else if p, err := netip.ParsePrefix(s); err == nil {
			valid = append(valid, p.Masked().String())
		}
	}
	return valid
}

// network returns an address or a network, as networks has it, as a network.
func network(s string) netip.Prefix {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen())
	}
	p, _ := netip.ParsePrefix(s)
	return p
}

// isNetwork reports whether networks has a form for s.
func isNetwork(s string) bool { return len(networks([]string{s})) == 1 }
