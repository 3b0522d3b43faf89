package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// formats is the table of the formats of strings, each with its check. The errors of a
// check are what is wanted instead. The format "address" is in checkFormat, those of maps
// are in checkText.
var formats = map[string]func(string) error{
	"network":         checkNetwork,
	"key-name":        checkKeyName,
	"host":            checkHost,
	"name":            checkCertName,
	"server":          checkServerName,
	"email":           checkEmail,
	"url":             checkURL,
	"upstream":        checkUpstream,
	"path":            checkPathPattern,
	"origin":          checkOrigin,
	"cors-field":      checkCORSField,
	"limited-field":   checkMatchedField,
	"realm":           checkRealm,
	"template":        checkTemplate,
	"rewritten-path":  checkRewrittenPath,
	"rewritten-query": checkQueryTemplate,
	"media-type":      checkMediaType,
	"regexp":          checkRegexp,
	"prefix":          checkPrefix,
	"target":          checkTarget,
	"location":        checkLocation,
	"method":          checkMethod,
	"removed-field":   checkRemovedField,
	"hashed-field":    checkHashedField,
	"cookie":          checkCookieName,
	"client-field":    checkClientField,
	"route":           checkRouteName,
	"charset":         checkCharset,
	"media-range":     checkMediaRange,
	"value":           checkFieldValue,
	"socket":          checkSocket,
	"folder":          checkFolder,
	"filename":        checkFilename,
	"extension":       checkExtension,
	"try":             checkTry,
	"worker-try":      checkWorkerTry,
	"glob":            checkGlob,
	"admin":           checkAdminAddress,
	"loopback":        checkLoopback,
	"metrics": func(s string) error {
		if s == "" {
			return nil
		}
		return checkAddress(s, "9091")
	},
}

// checkFormat checks a string that has a format. An address may name the port of its
// examples: "address 443".
func checkFormat(format, s string) error {
	name, example, _ := strings.Cut(format, " ")
	if name == "address" {
		return checkAddress(s, cmp.Or(example, "6363"))
	}
	if check := formats[name]; check != nil {
		return check(s)
	}
	return nil
}

// checkText checks a key and its value in a map of strings.
func checkText(format, key, value string) error {
	switch format {
	case "matched-header":
		if err := checkMatchedField(key); err != nil {
			return err
		}
		return checkFieldValue(value)
	case "set-header":
		if err := checkChangedField(key); err != nil {
			return err
		}
		if strings.EqualFold(key, "Host") {
			return checkHostField(value)
		}
		return checkFieldTemplate(value)
	case "added-header":
		if err := checkAddedField(key); err != nil {
			return err
		}
		return checkFieldTemplate(value)
	case "type":
		return checkType(key, value)
	case "status":
		return checkStatus(key)
	case "query", "claim":
		if key == "" {
			return errors.New("want a name")
		}
		return nil
	}
	switch {
	case key == "":
		return errors.New("a name can't be empty")
	case strings.ContainsAny(key, "=\x00\n\r"):
		return errors.New("a name can't have = or a line end in it")
	case format == "ini" && strings.ContainsAny(key, " \t;[]\"'"):
		return errors.New("a PHP setting has a plain name, as in opcache.enable")
	case strings.ContainsRune(value, 0):
		return errors.New("the value can't have a NUL in it")
	case format == "ini" && strings.ContainsAny(value, "\n\r"):
		return errors.New("a PHP setting can't have a line end in it")
	}
	return nil
}

// checkAddress checks host:port. The host may be empty, an IP address, or a
// name, which isn't looked up. example is the port of examples.
func checkAddress(s, example string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		if _, err := netip.ParseAddr(s); err == nil {
			return fmt.Errorf("the port is missing; write %s", net.JoinHostPort(s, example))
		}
		if strings.Count(s, ":") > 1 {
			return fmt.Errorf("want host:port; an IPv6 address needs brackets, as in [::1]:%s", example)
		}
		return fmt.Errorf("want host:port, as in 127.0.0.1:%[1]s, or :%[1]s for all addresses", example)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return errors.New("the port must be a number from 0 to 65535")
	}
	if host == "" {
		return nil
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	if strings.Trim(host, "0123456789.") == "" || strings.Contains(host, ":") {
		return errors.New("the host isn't an IP address")
	}
	if len(host) > 253 || strings.Trim(host, wordBytes+".") != "" {
		return fmt.Errorf("the host is neither an IP address nor a name; leave it empty for all addresses, as in :%s", example)
	}
	return nil
}

// checkNetwork checks an IP address or a network of them.
func checkNetwork(s string) error {
	a, err := netip.ParseAddr(s)
	p, perr := netip.ParsePrefix(s)
	switch {
	case err == nil && a.Zone() != "":
		return errors.New("a zone isn't allowed; leave out the % and what follows")
	case err == nil && a.Is4In6(), perr == nil && p.Addr().Is4In6():
		return errors.New("write IPv4 as such, as in 10.0.0.0/8: clients are compared with it in that form")
	case err == nil:
		return nil
	case perr != nil:
		return errors.New("want a network, as in 10.0.0.0/8 or 2001:db8::/32, or an address")
	case p != p.Masked():
		return fmt.Errorf("bits are set behind the prefix; write %v", p.Masked())
	}
	return nil
}

// Network returns the network that a string names which was checked to be one.
// An address is a network of its own.
func Network(s string) netip.Prefix {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen())
	}
	p, _ := netip.ParsePrefix(s)
	return p
}

// checkHost checks a host in the form that requests' hosts are compared in, or
// *. and a name. An IPv6 address is in brackets, as it is in a request.
func checkHost(s string) error {
	if inside, ok := strings.CutPrefix(s, "["); ok {
		a, err := netip.ParseAddr(strings.TrimSuffix(inside, "]"))
		if err != nil || !a.Is6() || a.Zone() != "" {
			return errors.New("only an IPv6 address can be in brackets, as in [::1]")
		}
		if want := "[" + a.String() + "]"; s != want {
			return fmt.Errorf("write it as %s", want)
		}
		return nil
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Is6() {
		return fmt.Errorf("an IPv6 address needs brackets: [%v]", a)
	}
	return checkName(s)
}

// checkCertName checks a name that a certificate can be for, or *. and one.
func checkCertName(s string) error {
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		if strings.HasPrefix(s, "[") {
			return fmt.Errorf("an address has no brackets here: %s", strings.Trim(s, "[]"))
		}
		if strings.Contains(s, "%") {
			return errors.New("an address has no zone here")
		}
		return nil
	}
	return checkName(s)
}

// checkServerName checks a name that a server's certificate has.
func checkServerName(s string) error {
	if strings.Contains(s, "*") {
		return errors.New("want the name itself; a wildcard certificate for it will do")
	}
	return checkCertName(s)
}

// checkName checks a host name, or *. and one.
func checkName(s string) error {
	name := strings.TrimPrefix(s, "*.")
	switch {
	case strings.Contains(s, "/"):
		return errors.New("want a host alone, as in example.org")
	case strings.Contains(name, "*"):
		return errors.New("a * is allowed only at the front, for all names below a host, as in *.example.org")
	case strings.Contains(s, ":"):
		return errors.New("a port isn't allowed: hosts are compared without it")
	case strings.HasSuffix(s, "."):
		return errors.New("leave out the dot at the end")
	case strings.ToLower(s) != s:
		return fmt.Errorf("hosts are written in lower case: %s", strings.ToLower(s))
	case len(name) > 253:
		return errors.New("a host name has 253 bytes at most")
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, wordBytes) != "" {
			return errors.New("want a host name, as in example.org; other letters than a to z are written in the xn-- form")
		}
	}
	return nil
}

func checkEmail(s string) error {
	name, host, ok := strings.Cut(s, "@")
	if !ok || name == "" || checkName(strings.ToLower(host)) != nil || strings.ContainsAny(name, " :,<>") || strings.ContainsFunc(name, isControl) {
		return errors.New("want a mail address, as in me@example.org")
	}
	return nil
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil {
		return errors.New("want an address, as in https://example.org/directory")
	}
	return nil
}

// maxSocket is the longest path of a unix socket, in bytes (unix(7)).
const maxSocket = 107

// checkUpstream checks http://host:port, also with https, h2c and h2, and unix:path.
func checkUpstream(s string) error {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path == "" || strings.HasPrefix(path, "//") || strings.HasSuffix(path, "/") {
			return errors.New("want the path of a socket, as in unix:/run/app.sock")
		}
		return nil
	}
	u, err := url.Parse(s)
	switch {
	case !strings.Contains(s, "://") && checkAddress(s, "8080") == nil && !strings.HasPrefix(s, ":"):
		return fmt.Errorf("write http://%s", s)
	case err != nil || schemePort(u.Scheme) == "" || u.Hostname() == "":
		return errors.New("want http://host:port, https://host:port, unix:/path for a socket, or, for HTTP/2, h2c://host:port, h2://host:port")
	case u.User != nil:
		return errors.New("a user and a password aren't allowed; set an Authorization field in the headers of the route")
	case u.Path != "" && u.Path != "/" || strings.ContainsAny(s, "?#"):
		return errors.New("leave out what follows the host and port: requests keep their path, and strip_prefix of a route takes something off")
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil && strings.Trim(u.Hostname(), wordBytes+".") != "" {
		return errors.New("the host is neither an IP address nor a name")
	}
	port := u.Port()
	if port == "" && !strings.HasSuffix(u.Host, ":") {
		return nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errors.New("the port must be a number from 1 to 65535")
	}
	return nil
}

// sameUpstream returns the one form of an upstream's address.
func sameUpstream(s string) string {
	u, err := url.Parse(s)
	if err != nil || strings.HasPrefix(s, "unix:") {
		return s
	}
	port := u.Port()
	if port == "" {
		port = schemePort(u.Scheme)
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// schemePort returns the default port of a scheme that upstreams may have, "" for
// others.
func schemePort(scheme string) string {
	switch scheme {
	case "http", "h2c":
		return "80"
	case "https", "h2":
		return "443"
	}
	return ""
}
