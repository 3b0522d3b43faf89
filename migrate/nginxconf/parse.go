package nginxconf

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The limits of a file.
const (
	MaxFile  = 4 << 20 // bytes
	maxDepth = 64      // blocks in blocks
)

// Parse reads the text of a file. It doesn't follow includes. An error is of type
// *Error.
func Parse(file string, text string) ([]*Directive, error) {
	p := parser{file: file, text: text, line: 1}
	if len(text) > MaxFile {
		return nil, p.errorf("the file has more than %d MiB; it can't be a configuration", MaxFile>>20)
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return nil, p.errorf("the file isn't text in UTF-8")
	}
	return p.block(0)
}

// parser splits a text into words, by the rules of ngx_conf_read_token.
type parser struct {
	file string
	text string
	at   int // the next byte
	line int // of it
}

func (p *parser) errorf(format string, args ...any) *Error {
	return &Error{p.file, p.line, fmt.Sprintf(format, args...)}
}

// block reads directives up to the brace that closes them, or at depth 0 to the end
// of the file.
func (p *parser) block(depth int) (all []*Directive, err error) {
	if depth > maxDepth {
		return nil, p.errorf("more than %d blocks are nested", maxDepth)
	}
	for {
		p.space()
		switch {
		case p.at == len(p.text) && depth > 0:
			return nil, p.errorf("the file ends within a block; a } is missing")
		case p.at == len(p.text):
			return all, nil
		case p.text[p.at] == '}' && depth > 0:
			p.at++
			return all, nil
		case p.text[p.at] == '}':
			return nil, p.errorf("unexpected }")
		}
		d, err := p.directive(depth)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
}

// directive reads one directive, with its block if it has one.
func (p *parser) directive(depth int) (*Directive, error) {
	d := &Directive{File: p.file, Line: p.line}
	start := p.at
	for words := 0; ; words++ {
		p.space()
		if p.at == len(p.text) {
			return nil, p.errorf("the file ends within %s, which begins in line %d; a ; is missing", shorten(d.Name), d.Line)
		}
		c := p.text[p.at]
		if c == ';' || c == '{' {
			if words == 0 {
				return nil, p.errorf("unexpected %c", c)
			}
			d.Text = oneLine(p.text[start:p.at])
			p.at++
			if c == ';' {
				return d, nil
			}
			break
		}
		if c == '}' {
			return nil, p.errorf("unexpected } after %s; a ; is missing before it", shorten(d.Name))
		}
		word, err := p.word()
		if err != nil {
			return nil, err
		}
		if words == 0 {
			d.Name = word
		} else {
			d.Args = append(d.Args, word)
		}
	}
	d.Braces = true
	if strings.HasSuffix(d.Name, "_by_lua_block") {
		return d, p.lua()
	}
	var err error
	d.Block, err = p.block(depth + 1)
	return d, err
}

// space skips blanks and comments.
func (p *parser) space() {
	for ; p.at < len(p.text); p.at++ {
		switch p.text[p.at] {
		case '\n':
			p.line++
		case ' ', '\t', '\r':
		case '#':
			for p.at+1 < len(p.text) && p.text[p.at+1] != '\n' {
				p.at++
			}
		default:
			return
		}
	}
}

// word reads a word, in quotes or not. A brace after a dollar sign belongs to the name
// of a variable; a quote within a word is a part of it.
func (p *parser) word() (string, error) {
	var b strings.Builder
	quote := byte(0)
	if c := p.text[p.at]; c == '"' || c == '\'' {
		quote = c
		p.at++
	}
	begun := p.line
	for p.at < len(p.text) {
		c := p.text[p.at]
		switch {
		case c == '\\' && p.at+1 < len(p.text):
			p.escape(&b)
			continue
		case quote != 0 && c == quote:
			p.at++
			if p.at < len(p.text) && !strings.ContainsRune(" \t\r\n;{)", rune(p.text[p.at])) {
				return "", p.errorf("a blank is missing after the closing quote")
			}
			if p.at < len(p.text) && p.text[p.at] == ')' { // if ($a = "b")
				b.WriteByte(')')
				p.at++
			}
			return b.String(), nil
		case quote == 0 && c == '$' && p.at+1 < len(p.text) && p.text[p.at+1] == '{':
			b.WriteString("${")
			p.at += 2
			continue
		case quote == 0 && strings.IndexByte(" \t\r\n;{", c) >= 0:
			return b.String(), nil
		case c == '\n':
			p.line++
		}
		b.WriteByte(c)
		p.at++
	}
	if quote != 0 {
		return "", &Error{p.file, begun, fmt.Sprintf("the quote %c isn't closed", quote)}
	}
	return b.String(), nil
}

// escape reads a backslash and what follows it. Quotes, backslashes and letters of
// control characters lose it; anything else keeps it, as regular expressions need it.
func (p *parser) escape(b *strings.Builder) {
	c := p.text[p.at+1]
	p.at += 2
	switch c {
	case '"', '\'', '\\':
		b.WriteByte(c)
	case 't':
		b.WriteByte('\t')
	case 'r':
		b.WriteByte('\r')
	case 'n':
		b.WriteByte('\n')
	default:
		if c == '\n' {
			p.line++
		}
		b.WriteByte('\\')
		b.WriteByte(c)
	}
}

// lua skips a block of Lua, whose braces are balanced outside of texts.
func (p *parser) lua() error {
	begun := p.line
	for depth := 1; p.at < len(p.text); p.at++ {
		switch p.text[p.at] {
		case '\n':
			p.line++
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				p.at++
				return nil
			}
		}
	}
	return &Error{p.file, begun, "the block of Lua isn't closed"}
}

// oneLine returns a text with single spaces and without comments.
func oneLine(text string) string {
	if strings.Contains(text, "#") && strings.Contains(text, "\n") {
		lines := strings.Split(text, "\n")
		for i, line := range lines {
			if at := strings.Index(line, " #"); at >= 0 && i < len(lines)-1 {
				lines[i] = line[:at]
			} else if strings.HasPrefix(strings.TrimSpace(line), "#") {
				lines[i] = ""
			}
		}
		text = strings.Join(lines, " ")
	}
	return strings.Join(strings.Fields(text), " ")
}

// shorten returns a word for an error.
func shorten(word string) string {
	if len(word) > 40 {
		return word[:40] + "..."
	}
	return word
}
