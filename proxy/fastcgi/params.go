package fastcgi

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"mkd/proxy/roundtrip"
)

// Param is a meta-variable of a request (RFC 3875, section 4.1), as PHP shows
// it in $_SERVER.
type Param struct{ Name, Value string }

// size returns the length of the encoded pair in bytes.
func (p Param) size() int { return pairSize(len(p.Name), len(p.Value)) }

// pairSize returns the length in bytes of an encoded pair.
func pairSize(name, value int) int { return lengthSize(name) + lengthSize(value) + name + value }

func lengthSize(n int) int {
	if n < 0x80 {
		return 1
	}
	return 4
}

// check reports whether the pair can be sent. A NUL could end a file's name
// early, in a server that takes values for C strings.
func (p Param) check() error {
	switch {
	case p.Name == "":
		return fmt.Errorf("%w: it has no name", ErrParam)
	case strings.IndexByte(p.Name, 0) >= 0 || strings.IndexByte(p.Value, 0) >= 0:
		return fmt.Errorf("%w: %.64q holds a NUL", ErrParam, p.Name)
	}
	return checkSize(p.Name, p.size())
}

func checkSize(name string, size int) error {
	if size > maxContent {
		return fmt.Errorf("%w: %w: %.64q takes %d bytes, and a record holds %d", roundtrip.ErrLongHeader, ErrParam, name, size, maxContent)
	}
	return nil
}

// Params takes the parameters of a request, and encodes them as PARAMS records
// (specification, sections 3.4 and 5.2). Each pair is complete in one record: the
// specification allows it to continue in the next, but PHP-FPM doesn't.
type Params struct {
	b        []byte // ends with the current record
	record   int    // where that begins
	constant *Constant
	length   int64 // CONTENT_LENGTH; noLength: there is none
	err      error // why a pair can't be sent
}

// What Params.length may be besides a length.
const (
	noLength  = -1
	badLength = -2
)

// begin begins the records after those in dst.
func (p *Params) begin(dst []byte) {
	*p = Params{b: dst, length: noLength}
	p.beginRecord()
}

func (p *Params) beginRecord() {
	p.record = len(p.b)
	p.b = appendHeader(p.b, typeParams, 0)
}

// finish ends the records with an empty one, and returns all that was encoded.
func (p *Params) finish() ([]byte, error) {
	if p.content() > 0 {
		p.endRecord()
		p.beginRecord()
	}
	return p.b, p.err
}

// content returns how many bytes the current record has.
func (p *Params) content() int { return len(p.b) - p.record - headerSize }

func (p *Params) endRecord() {
	recordHeader{typ: typeParams, content: p.content()}.put(p.b[p.record:])
}

// room makes room for a pair, or several, of size bytes.
func (p *Params) room(size int) {
	if n := p.content(); n > 0 && n+size > maxContent {
		p.endRecord()
		p.beginRecord()
	}
}

// Add adds a pair, unless AddConstant has added one of that name.
func (p *Params) Add(name, value string) {
	if p.constant.has(name) {
		return
	}
	if name == "CONTENT_LENGTH" {
		p.length = parseLength(value)
	}
	p.add(Param{name, value})
}

func (p *Params) add(pair Param) {
	if err := pair.check(); err != nil {
		p.fail(err)
		return
	}
	p.room(pair.size())
	p.b = appendPair(p.b, pair)
}

func (p *Params) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// parseLength returns a length as it is written in CONTENT_LENGTH.
func parseLength(s string) int64 {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || len(s) > 1 && s[0] == '0' {
		return badLength
	}
	return int64(n)
}

// addField adds a field of the header as HTTP_*. Values of several fields are joined
// (RFC 3875, section 4.1.18), cookies as RFC 6265, section 5.4, has them.
func (p *Params) addField(name string, values []string) {
	if p.constant.hasField(name) {
		return
	}
	separator := ", "
	if name == "Cookie" {
		separator = "; "
	}
	size := len(separator) * (len(values) - 1)
	for _, v := range values {
		size += len(v)
		if strings.IndexByte(v, 0) >= 0 {
			p.fail(fmt.Errorf("%w: the field %.64q holds a NUL", ErrParam, name))
			return
		}
	}
	whole := pairSize(len(fieldPrefix)+len(name), size)
	if err := checkSize(name, whole); err != nil {
		p.fail(err)
		return
	}
	p.room(whole)
	b := appendLength(p.b, len(fieldPrefix)+len(name))
	b = appendLength(b, size)
	b = append(b, fieldPrefix...)
	for i := range len(name) {
		b = append(b, metaByte(name[i]))
	}
	for i, v := range values {
		if i > 0 {
			b = append(b, separator...)
		}
		b = append(b, v...)
	}
	p.b = b
}

// fieldPrefix begins the names of fields of the header.
const fieldPrefix = "HTTP_"

func metaByte(c byte) byte {
	switch {
	case 'a' <= c && c <= 'z':
		return c - 'a' + 'A'
	case c == '-':
		return '_'
	}
	return c
}

// Constant has the parameters that are the same for all requests to a site. They are
// encoded once.
type Constant struct {
	list  []Param
	pairs []byte // all of them, encoded
}

// newConstant returns parameters that are added to each request, in their order. Where
// a script has one of the same name, that of the Constant counts.
func newConstant(list ...Param) (*Constant, error) {
	c := &Constant{list: list}
	for _, p := range list {
		if err := p.check(); err != nil {
			return nil, err
		}
		c.pairs = appendPair(c.pairs, p)
	}
	return c, nil
}

// has reports whether a parameter is among them.
func (c *Constant) has(name string) bool {
	if c != nil {
		for i := range c.list {
			if c.list[i].Name == name {
				return true
			}
		}
	}
	return false
}

// hasField reports whether the parameter of a field is among them.
func (c *Constant) hasField(name string) bool {
	if c != nil {
		for i := range c.list {
			if meta, ok := strings.CutPrefix(c.list[i].Name, fieldPrefix); ok && isMeta(meta, name) {
				return true
			}
		}
	}
	return false
}

// isMeta reports whether a field's name becomes meta.
func isMeta(meta, name string) bool {
	if len(meta) != len(name) {
		return false
	}
	for i := range len(name) {
		if meta[i] != metaByte(name[i]) {
			return false
		}
	}
	return true
}

// AddConstant adds all of c. From now on Add takes no pair of their names.
func (p *Params) AddConstant(c *Constant) {
	if p.constant = c; len(c.pairs) <= maxContent {
		p.room(len(c.pairs))
		p.b = append(p.b, c.pairs...)
		return
	}
	for _, pair := range c.list {
		p.add(pair)
	}
}

func appendPair(dst []byte, p Param) []byte {
	dst = appendLength(dst, len(p.Name))
	dst = appendLength(dst, len(p.Value))
	dst = append(dst, p.Name...)
	return append(dst, p.Value...)
}

// appendLength appends the length of a name or a value (specification, section 3.4).
func appendLength(dst []byte, n int) []byte {
	if n < 0x80 {
		return append(dst, byte(n))
	}
	return binary.BigEndian.AppendUint32(dst, uint32(n)|1<<31)
}
