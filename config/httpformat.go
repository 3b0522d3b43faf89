package config

import (
	"errors"
	"fmt"
	"mime"
	"net/url"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"mkd/httpfield"
	"mkd/metavar"
)

// checkPathPattern checks /exact, /below/* and *.suffix.
func checkPathPattern(s string) error {
	if end, ok := strings.CutPrefix(s, "*"); ok {
		if end == "" || strings.ContainsAny(end, "*/") {
			return errors.New("want the end of a path behind the *, as in *.php; leave the condition out to match all paths")
		}
		return checkPathBytes(end)
	}
	switch {
	case strings.HasSuffix(s, "*") && !strings.HasSuffix(s, "/*"):
		return errors.New("a * is allowed after a /, as in /api/*, or at the front, as in *.php")
	case strings.Contains(strings.TrimSuffix(s, "*"), "*"):
		return errors.New("a * is allowed only at the end, as in /api/*, or at the front, as in *.php")
	}
	return checkPlainPath(strings.TrimSuffix(s, "*"))
}

// maxRegexp is the longest regular expression, in bytes.
const maxRegexp = 1000

// checkRegexp checks a regular expression over paths.
func checkRegexp(s string) error {
	if len(s) > maxRegexp {
		return fmt.Errorf("a regular expression has %d bytes at most", maxRegexp)
	}
	re, err := regexp.Compile(s)
	var syntaxError *syntax.Error
	switch {
	case errors.As(err, &syntaxError) && syntaxError.Code == syntax.ErrInvalidPerlOp:
		return fmt.Errorf("%q isn't in RE2, whose expressions take linear time: there is no lookahead, lookbehind or backreference; use not for what must not match", syntaxError.Expr)
	case errors.As(err, &syntaxError):
		return fmt.Errorf("it isn't a regular expression of RE2: %v: %q", syntaxError.Code, syntaxError.Expr)
	case err != nil:
		return fmt.Errorf("it isn't a regular expression of RE2: %w", err)
	}
	seen := make(map[string]bool)
	for _, name := range re.SubexpNames() {
		if name != "" && seen[name] {
			return fmt.Errorf("it has two groups named %s; give each a name of its own", name)
		}
		seen[name] = true
	}
	return nil
}

// checkPlainPath checks a path that requests' paths are compared with: these
// have no dot segments and no double slashes.
func checkPlainPath(s string) error {
	switch {
	case !strings.HasPrefix(s, "/"):
		return errors.New("want a path, which begins with /")
	case strings.Contains(s, "//"), strings.Contains(s+"/", "/../"), strings.Contains(s+"/", "/./"):
		return errors.New("it can never match: double slashes and dot segments are resolved before paths are compared")
	}
	return checkPathBytes(s)
}

// checkPathBytes checks a part of a path that was decoded: only a slash and a %
// stay encoded there.
func checkPathBytes(s string) error {
	switch {
	case strings.ContainsAny(s, "?#"):
		return errors.New("a path has no query here")
	case strings.ContainsFunc(s, isControl):
		return errors.New("a path has no control characters here")
	case strings.Contains(strings.NewReplacer("%2F", "", "%25", "").Replace(s), "%"):
		return errors.New("it is compared with the decoded path; write the characters themselves, and only %2F for an encoded slash, %25 for a %")
	}
	return nil
}

func checkPrefix(s string) error {
	switch {
	case strings.HasSuffix(s, "/"), strings.Contains(s, "*"):
		return errors.New("want a path without a / or * at its end, as in /api")
	case strings.Contains(s, "%"):
		return errors.New("write the characters themselves; % isn't allowed here")
	}
	return checkPlainPath(s)
}

// checkTarget checks a path with or without a query, as a request has it.
func checkTarget(s string) error {
	if _, err := url.ParseRequestURI(s); err != nil || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") ||
		strings.ContainsAny(s, " #") || strings.ContainsFunc(s, isControl) {
		return errors.New("want a path, as in /healthz or /search?q=1")
	}
	return nil
}

// checkLocation checks an address with placeholders in it.
func checkLocation(s string) error {
	plain, err := fill(s, samples)
	if err != nil {
		return err
	}
	absolute := strings.HasPrefix(plain, "http://") || strings.HasPrefix(plain, "https://")
	u, err := url.Parse(plain)
	switch {
	case s == "{path}", s == "{uri}":
		return errors.New("it leads back to itself, for ever; write another host in front, as in https://www.example.org{uri}")
	case strings.Contains(s, "/{path}"), strings.Contains(s, "/{uri}"):
		return errors.New("{path} and {uri} begin with a / themselves, so leave out the one in front")
	case strings.HasPrefix(plain, "//"):
		return errors.New("an address that begins with // leads to another host; write its scheme")
	case err != nil, strings.ContainsFunc(plain, isControl), strings.ContainsAny(plain, ` "<>\^|`+"`{}"), absolute && u.Hostname() == "":
		return errors.New("want an address, as in https://www.example.org{uri}")
	case !absolute && !strings.HasPrefix(plain, "/"):
		return errors.New("want an address that begins with https://, http:// or /")
	}
	return nil
}

// checkFieldTemplate checks the value of a header field with placeholders.
func checkFieldTemplate(s string) error {
	if err := checkTemplate(s); err != nil {
		return err
	}
	return checkFieldValue(s)
}

func checkMethod(s string) error {
	if !httpfield.IsToken(s) || strings.ToUpper(s) != s {
		return errors.New("want a method in capitals, as in GET")
	}
	return nil
}

// framing are header fields that frame a message or concern the connection (RFC
// 9110, section 7.6.1): mkd sets them itself.
var framing = []string{"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade"}

// neverMatched are other fields that are removed before routes match.
var neverMatched = []string{"HTTP2-Settings", "Proxy", "Proxy-Authenticate", "Proxy-Authorization"}

func isFraming(name string) bool { return isOneOf(framing, name) }

func isOneOf(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// checkMatchedField checks the name of a header field that a route matches.
func checkMatchedField(s string) error {
	switch {
	case !httpfield.IsToken(s):
		return errNoField
	case strings.EqualFold(s, "Host"):
		return errors.New("the host is asked for by hosts, beside headers")
	case isFraming(s), isOneOf(neverMatched, s), metavar.Ambiguous(s):
		return errors.New("it can never match: fields about the connection, and those with _ or . in their names, are removed before routes match")
	}
	return nil
}

// checkChangedField checks the name of a header field that a route changes.
func checkChangedField(s string) error {
	switch {
	case !httpfield.IsToken(s):
		return errNoField
	case isFraming(s):
		return errors.New("it can't be changed: it frames the message or concerns the connection")
	}
	return nil
}

// checkAddedField checks the name of a header field that a route adds.
func checkAddedField(s string) error {
	if strings.EqualFold(s, "Host") {
		return errors.New("a request has one Host; use set, which replaces it")
	}
	return checkChangedField(s)
}

// checkRemovedField checks the name of a header field that a route removes.
func checkRemovedField(s string) error {
	if strings.EqualFold(s, "Host") {
		return errors.New("a request must have a Host; use set, which replaces it")
	}
	return checkChangedField(s)
}

// checkHostField checks the value of a Host field: a host with or without a port.
func checkHostField(s string) error {
	u, err := url.Parse("http://" + s)
	if err != nil || u.Host != s || u.Hostname() == "" || strings.HasSuffix(s, ":") || strings.Trim(u.Hostname(), wordBytes+".:") != "" {
		return errors.New("want a host, with a port if need be, as in app.example.org or app:8080")
	}
	return nil
}

// checkHashedField checks the name of a field whose value decides which server gets a
// request.
func checkHashedField(s string) error {
	if strings.EqualFold(s, "Host") {
		return nil
	}
	return checkMatchedField(s)
}

// checkCookieName checks the name of a cookie (RFC 6265, section 4.1.1).
func checkCookieName(s string) error {
	switch {
	case !httpfield.IsToken(s):
		return errors.New("the name of a cookie has letters, digits, - and _, as in server")
	case strings.HasPrefix(s, "__"):
		return errors.New("names that begin with __ are for cookies with rules of their own; use another")
	}
	return nil
}

// checkClientField checks the name of the field with a client's address.
func checkClientField(s string) error {
	switch {
	case !httpfield.IsToken(s), strings.EqualFold(s, "Host"), isFraming(s), metavar.Ambiguous(s):
		return errors.New("want the name of a header field with an address, as in X-Real-IP")
	case strings.EqualFold(s, "X-Forwarded-Proto"), strings.EqualFold(s, "X-Forwarded-Host"):
		return errors.New("it has no address; want a field such as X-Forwarded-For or X-Real-IP")
	}
	return nil
}

func checkRouteName(s string) error {
	if !isName(s) {
		return fmt.Errorf("a name has letters, digits, - and _ only, and %d at most", maxName)
	}
	return nil
}

func checkCharset(s string) error {
	if !httpfield.IsToken(s) {
		return errors.New("want the name of a charset, as in utf-8 or iso-8859-1")
	}
	return nil
}

// checkType checks an extension and its media type.
func checkType(extension, mediaType string) error {
	if err := checkExtension(extension); err != nil {
		return err
	}
	if strings.ToLower(extension) != extension {
		return fmt.Errorf("extensions are compared in lower case; write %s", strings.ToLower(extension))
	}
	if strings.Contains(extension[1:], ".") {
		return errors.New("only what follows the last dot of a name counts, as in .gz")
	}
	return checkMediaType(mediaType)
}

func checkMediaType(s string) error {
	base, _, err := mime.ParseMediaType(s)
	if err != nil || !strings.Contains(base, "/") || checkFieldValue(s) != nil {
		return errors.New("want a media type, as in text/plain; charset=utf-8")
	}
	return nil
}

var errNoField = errors.New("want the name of a header field, as in X-Frame-Options")

func checkFieldValue(s string) error {
	switch {
	case !httpfield.IsValue(s):
		return errors.New("the value of a header field has no line ends and no other control characters")
	case strings.Trim(s, " \t") != s:
		return errors.New("the value of a header field has no spaces at its ends")
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
