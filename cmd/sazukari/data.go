package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// dataFlag is one of curl's flags for a body. They all append to the same list,
// which keeps their order.
type dataFlag struct {
	kind dataKind
	list *[]dataPart
}

type dataKind int

const (
	dataText   dataKind = iota // -d: @FILE, whose line ends are dropped
	dataBinary                 // @FILE as it is
	dataRaw                    // without @
	dataEscape                 // escaped: CONTENT, =CONTENT, NAME=CONTENT, @FILE, NAME@FILE
	dataJSON                   // as dataBinary, and not joined by &
)

type dataPart struct {
	kind dataKind
	text string
}

// String, Set and Type implement pflag.Value.
func (f dataFlag) String() string { return "" }

func (f dataFlag) Set(s string) error {
	*f.list = append(*f.list, dataPart{f.kind, s})
	return nil
}

func (f dataFlag) Type() string { return "data" }

// files reads the files that flags name, up to a limit for all of them together.
type files struct {
	stdin io.Reader
	left  int // bytes
	limit int
}

// read reads a file, or standard input for "-".
func (f *files) read(name string) ([]byte, error) {
	r := f.stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		r = file
	}
	data, err := io.ReadAll(io.LimitReader(r, int64(f.left)+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Base(name), err)
	}
	if f.left -= len(data); f.left < 0 {
		return nil, fmt.Errorf("%s makes the request longer than --max-message, %d bytes", filepath.Base(name), f.limit)
	}
	return data, nil
}

// joinData makes one body of data flags.
func joinData(parts []dataPart, f *files) ([]byte, error) {
	var out []byte
	for i, p := range parts {
		data, err := p.bytes(f)
		if err != nil {
			return nil, err
		}
		if i > 0 && p.kind != dataJSON {
			out = append(out, '&')
		}
		out = append(out, data...)
	}
	return out, nil
}

func (p *dataPart) bytes(f *files) ([]byte, error) {
	file, isFile := strings.CutPrefix(p.text, "@")
	switch {
	case p.kind == dataEscape:
		return p.escaped(f)
	case p.kind == dataRaw || !isFile:
		return []byte(p.text), nil
	}
	data, err := f.read(file)
	if p.kind == dataText {
		data = slices.DeleteFunc(data, func(c byte) bool { return c == '\r' || c == '\n' || c == 0 })
	}
	return data, err
}

// escaped returns the data of --data-urlencode.
func (p *dataPart) escaped(f *files) ([]byte, error) {
	i := strings.IndexAny(p.text, "=@")
	if i < 0 {
		return escapeForm(nil, []byte(p.text)), nil
	}
	name, content := p.text[:i], []byte(p.text[i+1:])
	if p.text[i] == '@' {
		var err error
		if content, err = f.read(p.text[i+1:]); err != nil {
			return nil, err
		}
	}
	var out []byte
	if name != "" {
		out = append(append(out, name...), '=')
	}
	return escapeForm(out, content), nil
}

// escapeForm appends p to dst. It escapes all but unreserved characters (RFC 3986,
// section 2.3), and a space becomes a plus, as in forms.
func escapeForm(dst, p []byte) []byte {
	for _, c := range p {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', strings.IndexByte("-._~", c) >= 0:
			dst = append(dst, c)
		case c == ' ':
			dst = append(dst, '+')
		default:
			dst = fmt.Appendf(dst, "%%%02X", c)
		}
	}
	return dst
}
