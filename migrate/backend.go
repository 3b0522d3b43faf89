package migrate

import (
	"reflect"
	"strings"

	"mkd/migrate/nginxconf"
)

type directive = nginxconf.Directive

// backend is a backend of the result.
type backend struct {
	name, kind string
	block      *block
	comments   []string
}

// add returns the name of a backend that is the same, or else makes one.
func (m *migration) add(s *site, kind, name string, b *block) string {
	if m.sites > 1 && (name == "php" || name == "files" || name == "app") {
		name = hostName(s) + "_" + name
	}
	taken := make(map[string]bool)
	for _, other := range m.backends {
		if other.kind == kind && reflect.DeepEqual(other.block, b) {
			return other.name
		}
		taken[other.name] = true
	}
	name = unique(name, taken)
	m.backends = append(m.backends, &backend{name: name, kind: kind, block: b})
	return name
}

// hostName returns a name for the backends of a server.
func hostName(s *site) string {
	if len(s.hosts) == 0 {
		return "default"
	}
	return safeName(strings.TrimPrefix(s.hosts[0], "*."))
}

// safeName returns a text with the bytes only that a name may have.
func safeName(text string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, text)
	return name[:min(len(name), 40)]
}
