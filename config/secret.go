package config

import (
	"errors"
	"io/fs"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxSecret is how long a value in a file of its own may be, in bytes.
const maxSecret = 64 << 10

// secret returns the value that a block {file: PATH} stands for: the content of
// the file without the line ends at its end. An empty file is an error: what should have
// written the secret has failed.
func (w *walker) secret(n *yaml.Node, path string) (*yaml.Node, bool) {
	pairs, ok := w.pairs(n, path)
	if len(pairs) != 1 || pairs[0].key.Value != "file" {
		w.errorf(n, path, "got %s; want a value, or {file: PATH} for one that a file has", w.describe(n))
		return nil, false
	}
	at := join(path, "file")
	value, entered := w.enter(pairs[0].value, at)
	if !ok || !entered {
		return nil, false
	}
	if value.Kind != yaml.ScalarNode || isNull(value) || value.Value == "" {
		w.errorf(value, at, "got %s; want the path of a file", w.describe(value))
		return nil, false
	}
	file, ok := w.resolve(value.Value, pathSecret, value, at)
	if !ok {
		return nil, false
	}
	data, err := w.sys.readFile(file, maxSecret)
	if err != nil {
		var cause *fs.PathError
		if errors.As(err, &cause) {
			err = cause.Err
		}
		w.errorf(value, at, "can't read %s: %v", quotePath(file), err)
		return nil, false
	}
	text := strings.TrimRight(string(data), "\r\n")
	if text == "" {
		w.errorf(value, at, "%s is empty; write the value into it, or give \"\" in place of {file: ...} if there is none", quotePath(file))
		return nil, false
	}
	e := &yaml.Node{Kind: yaml.ScalarNode, Tag: expandedTag, Value: text, Line: n.Line, Column: n.Column}
	w.written[e] = file
	w.secrets = append(w.secrets, secret{text, "..."})
	return e, true
}
