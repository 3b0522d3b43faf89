package httpmsg

import (
	"net/url"
	"strings"
)

// maxDecoded is how often LoosePath decodes a path.
const maxDecoded = 3

// LoosePath returns what the most careless of servers could make of a path in the
// form of MatchPath: escapes are decoded, again and again; a backslash is a slash;
// parameters ("/a;b=c"), and dots and spaces at the end of a name, are dropped, as
// servlet containers and Windows do; letters are in lower case; there is no slash at
// the end. Two paths that are the same to such a server have the same loose form. It
// is for rules that refuse; what is forwarded is the path itself.
func LoosePath(path string) string {
	if isLoose(path) {
		return path
	}
	for range maxDecoded {
		if strings.IndexByte(path, '%') < 0 {
			break
		}
		path = decodeValid(path)
	}
	path = strings.ToLower(strings.ReplaceAll(path, `\`, "/"))
	var names []string
	for name := range strings.SplitSeq(path, "/") {
		name, _, _ = strings.Cut(name, ";")
		name, _, _ = strings.Cut(name, "\x00")
		if name == ".." {
			names = names[:max(len(names)-1, 0)]
			continue
		}
		if name = strings.TrimRight(name, ". \t"); name != "" {
			names = append(names, name)
		}
	}
	return "/" + strings.Join(names, "/")
}

// isLoose reports whether a path is in its loose form. Most are.
func isLoose(path string) bool {
	for i := range len(path) {
		switch c := path[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '~':
		case c == '.' || c == '/':
			if i+1 < len(path) && path[i+1] != '/' && path[i+1] != '.' || path == "/" {
				continue
			}
			return false
		default:
			return false
		}
	}
	return path != "" && path[0] == '/'
}

// decodeValid decodes the escapes that aren't broken.
func decodeValid(path string) string {
	if s, err := url.PathUnescape(path); err == nil {
		return s
	}
	out := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		if c, ok := unescape(path, i); ok {
			out = append(out, c)
			i += 2
			continue
		}
		out = append(out, path[i])
	}
	return string(out)
}
