package dnsprovider

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// table returns the libdns providers that are built in, by name. To build one in, as
// cloudflare, run go get github.com/libdns/cloudflare, import it here, and add the line
//
//	"cloudflare": libdnsProvider[cloudflare.Provider],
func table() map[string]constructor {
	return map[string]constructor{}
}

// constructor makes a provider of its options.
type constructor func(options map[string]string) (Provider, error)

// Named returns the libdns provider of a name. Its options have the names of the JSON
// fields of the provider, as api_token.
func Named(name string, options map[string]string) (Provider, error) {
	return named(table(), name, options)
}

func named(table map[string]constructor, name string, options map[string]string) (Provider, error) {
	if c := table[name]; c != nil {
		p, err := c(options)
		if err != nil {
			return nil, fmt.Errorf("DNS provider %s: %w", name, err)
		}
		return p, nil
	}
	built := "none is"
	if names := slices.Sorted(maps.Keys(table)); len(names) > 0 {
		built = strings.Join(names, ", ") + " are"
	}
	return nil, fmt.Errorf("DNS provider %q isn't built in (%s); use rfc2136 or exec, or add its line to proxy/dnsprovider/table.go and build mkd", name, built)
}

// libdnsProvider is the constructor of a libdns provider of the type T.
func libdnsProvider[T any, P interface {
	*T
	Provider
}](options map[string]string) (Provider, error) {
	text, err := json.Marshal(options)
	if err != nil {
		return nil, err
	}
	p := P(new(T))
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("options: %w", err) // it names the field, not the value
	}
	return p, nil
}
