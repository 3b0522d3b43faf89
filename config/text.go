package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// text checks a string, and resolves it if it is a path.
func (w *walker) text(v reflect.Value, f field, n *yaml.Node, path string) bool {
	s := n.Value
	if len(f.oneOf) > 0 {
		if slices.Contains(f.oneOf, s) {
			return true
		}
		hint := ""
		if near := w.suggest(s, f.oneOf); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		w.errorf(n, path, "got %s; want %s%s", describe(n), alternatives(f.oneOf), hint)
		return false
	}
	if s == "" {
		if f.required || f.hasDef && f.def != "" {
			w.errorf(n, path, "it is empty; give it a value%s", orLeaveOut(f))
			return false
		}
		return true
	}
	if strings.ContainsRune(s, 0) {
		w.errorf(n, path, "got %s; a NUL can't stand here", describe(n))
		return false
	}
	if f.format == "address" {
		if err := checkAddress(s); err != nil {
			w.errorf(n, path, "got %s; %v", describe(n), err)
			return false
		}
	}
	if f.path != notPath {
		resolved, ok := w.resolve(s, f.path, n, path)
		v.SetString(resolved)
		return ok
	}
	return true
}

func orLeaveOut(f field) string {
	if f.hasDef {
		return ", or leave the key out for " + f.def
	}
	return ""
}

// alternatives returns "a, b or c".
func alternatives(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// checkAddress checks host:port. The host may be empty, an IP address, or a
// name, which isn't looked up.
func checkAddress(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		if _, err := netip.ParseAddr(s); err == nil {
			return fmt.Errorf("the port is missing; write %s", net.JoinHostPort(s, "6363"))
		}
		if strings.Count(s, ":") > 1 {
			return errors.New("want host:port; an IPv6 address stands in brackets, as in [::1]:6363")
		}
		return errors.New("want host:port, as in 127.0.0.1:6363, or :6363 for all addresses")
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
		return errors.New("the host is neither an IP address nor a name; leave it empty for all addresses, as in :6363")
	}
	return nil
}

// checkText checks a key and its value in a map of strings.
func checkText(format, key, value string) error {
	switch {
	case key == "":
		return errors.New("a name can't be empty")
	case strings.ContainsAny(key, "=\x00\n\r"):
		return errors.New("a name can't have = or a line end in it")
	case format == "ini" && strings.ContainsAny(key, " \t;[]\"'"):
		return errors.New("a PHP setting has a plain name, as in opcache.enable")
	case strings.ContainsRune(value, 0):
		return errors.New("a NUL can't stand in the value")
	case format == "ini" && strings.ContainsAny(value, "\n\r"):
		return errors.New("a PHP setting can't have a line end in it")
	}
	return nil
}
