package logs

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

// escaping is an encoder whose lines have no control characters and no
// characters that change the direction of text, except for the line end, tabs
// between columns and the colours of levels. They appear as \u and four
// hexadecimal digits, which is JSON.
type escaping struct {
	zapcore.Encoder
	console bool // the message appears as it is, unlike in JSON
}

// Clone implements zapcore.Encoder.
func (e escaping) Clone() zapcore.Encoder { return escaping{e.Encoder.Clone(), e.console} }

// EncodeEntry implements zapcore.Encoder.
func (e escaping) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	if e.console && strings.ContainsFunc(entry.Message, func(r rune) bool { return r < ' ' || r == utf8.RuneError || unsafe(r) }) {
		entry.Message = string(appendEscaped(nil, []byte(entry.Message), true))
	}
	line, err := e.Encoder.EncodeEntry(entry, fields)
	if err != nil || isSafe(line.Bytes()) {
		return line, err
	}
	escaped := appendEscaped(nil, line.Bytes(), false)
	line.Reset()
	line.AppendBytes(escaped)
	return line, nil
}

// isSafe reports whether there is nothing to escape in a line in which JSON
// escapes U+0000 to U+001F.
func isSafe(line []byte) bool {
	for i, c := range line {
		if c >= 0x7f {
			return !strings.ContainsFunc(string(line[i:]), unsafe)
		}
	}
	return true
}

// appendEscaped appends text with its unsafe characters escaped; with low, those
// below U+0020 and bytes that aren't UTF-8 too.
func appendEscaped(to, text []byte, low bool) []byte {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case low && r == '\n':
			to = append(to, `\n`...)
		case low && r == '\t':
			to = append(to, `\t`...)
		case low && r == utf8.RuneError && size == 1:
			to = fmt.Appendf(to, `\x%02x`, text[0])
		case low && r < ' ', unsafe(r):
			to = fmt.Appendf(to, `\u%04x`, r)
		default:
			to = append(to, text[:size]...)
		}
		text = text[size:]
	}
	return to
}

// unsafe reports whether a character from U+007F on is a control, ends a line, or
// changes the direction of text (Unicode Standard Annex 9, section 2).
func unsafe(r rune) bool {
	switch {
	case 0x7f <= r && r <= 0x9f,
		r == 0x061c, r == 0x200e, r == 0x200f,
		r == 0x2028, r == 0x2029,
		0x202a <= r && r <= 0x202e,
		0x2066 <= r && r <= 0x2069:
		return true
	}
	return false
}
