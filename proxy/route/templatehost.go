package route

import (
	"strings"

	"mkd/config"
)

// hostForms gives the parts of a URL's host, and what follows it, their forms: no value of
// a client may make it another host, as in https://example.org{re.1} with .example.net.
type hostForms struct {
	within bool   // the host may not be over
	scheme int    // the part that has ://
	before string // the host so far
	whole  bool   // it is complete: what follows is a path
}

// begin looks whether a text begins with a scheme and a host.
func (h *hostForms) begin(parts []config.TemplatePart) {
	if parts[0].Name == "scheme" && len(parts) > 1 {
		h.scheme = 1
	}
	h.within = strings.Contains(parts[h.scheme].Text, "://") && !strings.HasPrefix(parts[h.scheme].Text, "/")
}

// form returns the form of a part.
func (h *hostForms) form(i int, p config.TemplatePart) form {
	switch {
	case i < h.scheme:
	case p.Name == "":
		text := p.Text
		if i == h.scheme {
			_, text, _ = strings.Cut(text, "://")
		}
		h.within = !strings.ContainsAny(text, "/?#")
		h.before += text
	case h.whole:
		return asPath
	case p.Name == "host":
		h.before += "host"
	case h.before == "" || strings.HasSuffix(h.before, ".") || strings.HasSuffix(h.before, "-"):
		h.before += "name"
		return asHost
	default:
		h.whole = true
		return asPath
	}
	return asURL
}

// isOpen reports whether what is added to the beginning of a URL could belong to its host.
func isOpen(url string) bool {
	_, rest, _ := strings.Cut(url, "://")
	return !strings.ContainsAny(rest, "/?#")
}
