package httpmsg

import (
	"strconv"
	"strings"
)

// ChooseCoding returns the content coding that a client with these lines of
// Accept-Encoding likes best of those that are offered (RFC 9110, section 12.5.3):
// the one with the highest weight, and of equals the first. It returns "" if the
// client takes none of them, or likes a response that isn't encoded better.
func ChooseCoding(accept, offered []string) string {
	if len(accept) == 0 {
		return ""
	}
	best, highest := "", 0.0
	for _, coding := range offered {
		if q := weightOfCoding(accept, coding); q > highest {
			best, highest = coding, q
		}
	}
	if best == "" || highest < weightOfIdentity(accept) {
		return ""
	}
	return best
}

// weightOfCoding returns the weight of a coding, that of * if it isn't named, 0 if
// that isn't either.
func weightOfCoding(accept []string, coding string) float64 {
	named, others := -1.0, 0.0
	eachCoding(accept, func(name string, weight float64) {
		switch {
		case strings.EqualFold(name, coding), coding == "gzip" && strings.EqualFold(name, "x-gzip"):
			named = max(named, weight)
		case name == "*":
			others = weight
		}
	})
	if named < 0 {
		return others
	}
	return named
}

// weightOfIdentity returns the weight of a response that isn't encoded, less than 0
// if it isn't named.
func weightOfIdentity(accept []string) float64 {
	q := -1.0
	eachCoding(accept, func(name string, weight float64) {
		if strings.EqualFold(name, "identity") {
			q = weight
		}
	})
	return q
}

func eachCoding(accept []string, f func(name string, weight float64)) {
	for _, line := range accept {
		for entry := range strings.SplitSeq(line, ",") {
			name, weight, _ := strings.Cut(entry, ";")
			f(strings.TrimSpace(name), parseWeight(weight))
		}
	}
}

// parseWeight reads a weight (RFC 9110, section 12.4.2). One that isn't right is 0.
func parseWeight(s string) float64 {
	if s = strings.TrimSpace(s); s == "" {
		return 1
	}
	name, value, _ := strings.Cut(s, "=")
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if !strings.EqualFold(strings.TrimSpace(name), "q") || err != nil || !(q >= 0 && q <= 1) {
		return 0
	}
	return q
}
