package proxy

import (
	"strings"
	"testing"
)

// TestGreeting: the command that mkd suggests at its start is one that a route handles.
func TestGreeting(t *testing.T) {
	for _, c := range []struct{ payload, match, want string }{
		{"auto", "{match: {payload: raw}, respond: {}}", " send "},
		{"auto", "{raw: {}, respond: {}}", " send "},
		{"raw", "{raw: {}, respond: {}}", " send "},
		{"auto", "{respond: {}}", " get "},
		{"http", "{raw: {}, respond: {}}", " get "},
		{"auto", "{match: {payload: raw, listeners: [other]}, respond: {}}, {respond: {}}", " get "},
	} {
		p, log := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY], payload: `+c.payload+`}}
  other: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
routes: [`+c.match+`]
`))
		p.greet()
		lines := awaitLog(t, log, "--server "+p.Addr("app").String())
		for line := range strings.Lines(lines) {
			if strings.Contains(line, "--server "+p.Addr("app").String()) && !strings.Contains(line, "sazukari"+c.want) {
				t.Errorf("payload %s, routes [%s]: %s", c.payload, c.match, line)
			}
		}
	}
}
