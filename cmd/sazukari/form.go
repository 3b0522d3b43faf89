package main

import (
	"bytes"
	"cmp"
	"fmt"
	"mime"
	"mime/multipart"
	"net/textproto"
	"path/filepath"
	"strings"
)

// formFlag is -F or --form-string.
type formFlag struct {
	literal bool // what follows the name is text, whatever it looks like
	list    *[]formField
}

// String, Set and Type implement pflag.Value.
func (f formFlag) String() string { return "" }

func (f formFlag) Set(s string) error {
	field, err := parseField(s, f.literal)
	if err == nil {
		*f.list = append(*f.list, field)
	}
	return err
}

func (f formFlag) Type() string { return "field" }

// formField is a part of a multipart form (RFC 7578).
type formField struct {
	name     string
	text     string // or the file's path
	from     byte   // '@' a file, sent under its name; '<' the text in a file; 0 text
	mimeType string
	filename string
}

// parseField reads NAME=TEXT, NAME=@FILE or NAME=<FILE, and the options after
// it: ";type=MIME" and ";filename=NAME". FILE, TEXT and NAME may be in
// quotes, and then have semicolons.
func parseField(s string, literal bool) (f formField, err error) {
	name, rest, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return f, fmt.Errorf("%q: want NAME=TEXT or NAME=@FILE", s)
	}
	f.name, f.text = name, rest
	if literal {
		return f, nil
	}
	if rest != "" && (rest[0] == '@' || rest[0] == '<') {
		f.from, rest = rest[0], rest[1:]
	}
	if f.text, rest, err = cutQuoted(rest); err != nil {
		return f, err
	}
	for rest != "" {
		key, value, _ := strings.Cut(rest[1:], "=") // after a semicolon
		if value, rest, err = cutQuoted(value); err != nil {
			return f, err
		}
		switch strings.TrimSpace(key) {
		case "type":
			f.mimeType = value
		case "filename":
			f.filename = value
		default:
			if f.mimeType == "" {
				return f, fmt.Errorf("%q: unknown option %q: there are type and filename; put a text with a semicolon in quotes, or use --form-string", s, key)
			}
			f.mimeType += ";" + key + "=" + value // its parameter
		}
	}
	if strings.ContainsAny(f.mimeType, "\r\n") {
		return f, fmt.Errorf("%q: a type must have no line ends", s)
	}
	if f.from == '@' && f.text == "-" && f.filename == "" {
		f.filename = "-"
	}
	return f, nil
}

// cutQuoted cuts a value that ends before a semicolon, or that is in quotes, in
// which a backslash escapes a quote or a backslash.
func cutQuoted(s string) (value, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		if i := strings.IndexByte(s, ';'); i >= 0 {
			return s[:i], s[i:], nil
		}
		return s, "", nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		case s[i] == '"':
			if rest = s[i+1:]; rest != "" && rest[0] != ';' {
				return "", "", fmt.Errorf("%s: something follows the quotes", s)
			}
			return b.String(), rest, nil
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", fmt.Errorf("%s: a quote is missing", s)
}

// encodeForm returns a form as a body, and its type.
func encodeForm(fields []formField, f *files) (body []byte, contentType string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, field := range fields {
		content := []byte(field.text)
		if field.from != 0 {
			if content, err = f.read(field.text); err != nil {
				return nil, "", err
			}
		}
		h := textproto.MIMEHeader{}
		disposition := `form-data; name="` + escapeName(field.name) + `"`
		filename := field.filename
		if field.from == '@' {
			filename = cmp.Or(filename, filepath.Base(field.text))
		}
		mimeType := field.mimeType
		if filename != "" {
			disposition += `; filename="` + escapeName(filename) + `"`
			guess, _, _ := strings.Cut(mime.TypeByExtension(filepath.Ext(filename)), ";") // no charset: it isn't known
			mimeType = cmp.Or(mimeType, guess, "application/octet-stream")
		}
		h.Set("Content-Disposition", disposition)
		if mimeType != "" {
			h.Set("Content-Type", mimeType)
		}
		part, err := w.CreatePart(h)
		if err != nil {
			return nil, "", err
		}
		if _, err := part.Write(content); err != nil {
			return nil, "", err
		}
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	return b.Bytes(), w.FormDataContentType(), nil
}

// escapeName escapes a name as browsers do (RFC 7578, section 4.2, leaves it to
// HTML).
func escapeName(s string) string {
	return strings.NewReplacer(`"`, "%22", "\r", "%0D", "\n", "%0A").Replace(s)
}
