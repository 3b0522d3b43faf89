package php

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"mkd/share"
)

// Bounds of a form with files.
const (
	maxParts      = 10_000   // all parts, whatever PHP's limit is
	maxPartHeader = 16 << 10 // bytes of the header of one part
	maxFieldBytes = 8 << 20  // bytes of all fields, as they go to the worker, and of the names and types of files
	fileBytes     = 128      // of these, what a file takes besides its texts
)

// FormError means that a form with files (multipart/form-data) can't be received.
type FormError struct {
	Status int // 400: the form is malformed; 413: it is too large; 507: all forms together are
	Err    error
}

func (e *FormError) Error() string { return "the request's form: " + e.Err.Error() }

// Unwrap returns Err.
func (e *FormError) Unwrap() error { return e.Err }

func tooLarge(format string, args ...any) error {
	return &FormError{http.StatusRequestEntityTooLarge, fmt.Errorf(format, args...)}
}

func malformed(format string, args ...any) error {
	return &FormError{http.StatusBadRequest, fmt.Errorf(format, args...)}
}

// UPLOAD_ERR_* of PHP.
const (
	uploadOK       = 0
	uploadTooLarge = 1 // for the server
	uploadOverForm = 2 // larger than the form's own MAX_FILE_SIZE
	uploadNoFile   = 4
)

// form is a form with files that was received: the files are on disk.
type form struct {
	uploads  *uploads
	client   *share.Client // that the bytes count for
	maxFiles int
	maxFile  int64
	maxParts int // fields and files together; the rest is dropped

	size    int64    // bytes of the body
	fields  longText // name=value&…, escaped
	files   []upload
	taken   int64 // bytes of fields, and of the names and types of files
	parts   int
	counted int   // parts that are fields or files
	excess  bool  // there are more parts than maxParts
	unnamed int   // files without the name of a field
	largest int64 // the form's own limit of a file, in bytes; 0: none; less: only empty files
}

// upload is a file of a form.
type upload struct {
	field, name, typ string
	path             string // "": there is no file
	file             string // its name in the folder
	size             int64
	err              int
}

// IsForm reports whether a request has a form with files, whose body DoHTTP reads
// before it waits for a worker. PHP itself parses those of POST alone.
func IsForm(r *http.Request) bool {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return false
	}
	if r.Body == nil || r.Body == http.NoBody {
		return false
	}
	typ := r.Header.Get("Content-Type")
	if end := strings.IndexAny(typ, ";, "); end >= 0 {
		typ = typ[:end]
	}
	return strings.EqualFold(typ, "multipart/form-data")
}

// formBoundary returns the boundary of the parts of a form, as PHP reads it: some
// clients leave out the quotes around characters that need them.
func formBoundary(contentType string) (string, error) {
	boundary := ""
	if i := strings.Index(strings.ToLower(contentType), "boundary"); i >= 0 {
		_, boundary, _ = strings.Cut(contentType[i:], "=")
	}
	if quoted, ok := strings.CutPrefix(boundary, `"`); ok {
		if boundary, _, ok = strings.Cut(quoted, `"`); !ok {
			return "", malformed("no end of the boundary in %q", contentType)
		}
	} else if end := strings.IndexAny(boundary, ",;"); end >= 0 {
		boundary = boundary[:end]
	}
	boundary = strings.TrimRight(boundary, " \t")
	if boundary == "" || len(boundary) > 70 { // RFC 2046, section 5.1.1
		return "", malformed("no boundary in %q", contentType)
	}
	return boundary, nil
}

// readForm receives a form of a client, of which it takes a number of fields and files.
// The caller closes it, unless there is an error.
func readForm(body io.Reader, boundary string, client netip.Prefix, u *uploads, opt *Options, fields int) (_ *form, err error) {
	f := &form{uploads: u, client: u.bytes.Join(client.Addr()), maxFiles: opt.MaxUploads, maxFile: opt.MaxUploadSize, maxParts: fields}
	f.fields.dir = opt.UploadDir
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	limit := &headerLimit{r: body}
	parts := multipart.NewReader(limit, boundary)
	for {
		limit.inHeader(true)
		part, err := parts.NextRawPart()
		if err == io.EOF || f.excess {
			limit.inHeader(false)
			if _, err := io.Copy(io.Discard, limit); err != nil { // the epilogue
				return nil, err
			}
			f.size = limit.read
			return f, nil
		}
		if err != nil {
			return nil, limit.explain(err)
		}
		limit.inHeader(false)
		if f.parts++; f.parts > maxParts {
			return nil, tooLarge("it has over %d parts", maxParts)
		}
		if err := f.take(part); err != nil {
			return nil, limit.explain(err)
		}
		if _, err := io.Copy(io.Discard, part); err != nil {
			return nil, limit.explain(err)
		}
	}
}

// take receives one part, as PHP does.
func (f *form) take(part *multipart.Part) error {
	if part.Header["Content-Disposition"] == nil {
		return nil
	}
	if f.counted++; f.counted > f.maxParts {
		f.excess = true
		return nil
	}
	d := parseDisposition(part.Header.Get("Content-Disposition"))
	switch {
	case d.hasFile:
		return f.takeFile(part, d)
	case d.hasName:
		return f.takeField(part, d.name)
	}
	return malformed("a part has no name")
}

// count counts n bytes of fields, or of the names and types of files: of the form,
// and of all forms in flight.
func (f *form) count(n int) error {
	if f.taken+int64(n) > maxFieldBytes {
		return tooLarge("its fields and names have over %d bytes", maxFieldBytes)
	}
	if !f.client.Take(int64(n), 0) {
		return f.uploads.full()
	}
	f.taken += int64(n)
	return nil
}

// write appends to the fields.
func (f *form) write(p []byte) error {
	if err := f.count(len(p)); err != nil {
		return err
	}
	return f.fields.write(p)
}

// takeField receives a field bit by bit: many clients may send long fields slowly.
func (f *form) takeField(part io.Reader, name string) error {
	prefix := url.QueryEscape(name) + "="
	if f.fields.size > 0 {
		prefix = "&" + prefix
	}
	if err := f.write([]byte(prefix)); err != nil {
		return err
	}
	buf := buffers.Get().(*[partSize]byte)
	defer buffers.Put(buf)
	raw, escaped := buf[:partSize/4], buf[partSize/4:]
	var number []byte // the value, if it may be a number
	for {
		n, err := part.Read(raw)
		if len(number) < 32 {
			number = append(number, raw[:min(n, 32-len(number))]...)
		}
		if e := f.write(appendEscaped(escaped[:0], raw[:n])); e != nil {
			return e
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if strings.EqualFold(name, "MAX_FILE_SIZE") {
		f.largest = leadingInt(string(number))
	}
	return nil
}

// leadingInt returns the number that a text begins with, as strtol of C reads it.
func leadingInt(s string) int64 {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	end := 0
	for end < len(s) && ('0' <= s[end] && s[end] <= '9' || end == 0 && (s[0] == '+' || s[0] == '-')) {
		end++
	}
	n, _ := strconv.ParseInt(s[:end], 10, 64) // the nearest number if it is out of range
	return n
}

// appendEscaped appends what url.QueryEscape returns: at most three bytes for each
// byte.
func appendEscaped(dst, text []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range text {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
			dst = append(dst, c)
		case c == ' ':
			dst = append(dst, '+')
		default:
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

// takeFile reads a file.
func (f *form) takeFile(part *multipart.Part, d disposition) (err error) {
	up := upload{field: d.name, name: d.file}
	if !d.hasName {
		up.field = strconv.Itoa(f.unnamed)
		f.unnamed++
	}
	if !nests(up.field) {
		return nil
	}
	if up.name != "" {
		if len(f.files) >= f.maxFiles {
			return tooLarge("it has over %d files", f.maxFiles)
		}
		typ, _, _ := strings.Cut(part.Header.Get("Content-Type"), ";")
		up.typ = strings.Clone(typ) // the rest of the header may be long
	}
	if err := f.count(fileBytes + len(up.field) + len(up.name) + len(up.typ)); err != nil {
		return err
	}
	if up.name == "" {
		up.err = uploadNoFile
		f.files = append(f.files, up)
		return nil
	}
	up.err, err = f.store(part, &up)
	if up.err != uploadOK {
		up.path, up.size, up.typ = "", 0, ""
	}
	if err == nil {
		f.files = append(f.files, up)
	}
	return err
}

// store writes a file. code is PHP's UPLOAD_ERR_ of the file; err ends the request.
func (f *form) store(part io.Reader, up *upload) (code int, err error) {
	file, name, err := f.uploads.create()
	if err != nil {
		return 0, err
	}
	up.file, up.path = name, filepath.Join(f.uploads.path, name)
	defer func() {
		if e := file.Close(); err == nil {
			err = e
		}
		if err != nil || code != uploadOK {
			f.remove(name, up.size)
			up.file = ""
		}
	}()
	buf := buffers.Get().(*[partSize]byte)
	defer buffers.Put(buf)
	for {
		n, err := part.Read(buf[:])
		size := up.size + int64(n)
		switch {
		case f.maxFile > 0 && size > f.maxFile:
			return uploadTooLarge, nil
		case n > 0 && f.largest != 0 && size > f.largest:
			return uploadOverForm, nil
		case !f.client.Take(int64(n), 0):
			return 0, f.uploads.full()
		}
		up.size = size
		if _, err := file.Write(buf[:n]); err != nil {
			return 0, err
		}
		if err == io.EOF {
			return uploadOK, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// close removes the files that the script hasn't moved.
func (f *form) close() {
	for _, up := range f.files {
		if up.file != "" {
			f.remove(up.file, up.size)
		}
	}
	f.client.Give(f.taken)
	f.client.Leave()
	f.fields.close()
}

// remove removes a file, and releases its n bytes.
func (f *form) remove(file string, n int64) {
	f.uploads.remove(file)
	f.client.Give(n)
}

// headerLimit is a reader that bounds the bytes of the header of a part, and counts
// all bytes.
type headerLimit struct {
	r      io.Reader
	header bool
	left   int
	over   bool
	read   int64 // bytes
	err    error // of r
}

func (l *headerLimit) inHeader(yes bool) { l.header, l.left = yes, maxPartHeader }

func (l *headerLimit) Read(p []byte) (int, error) {
	if l.header && l.left <= 0 {
		l.over = true
		return 0, errors.New("over the limit")
	}
	n, err := l.r.Read(p)
	l.left -= n
	l.read += int64(n)
	if err != nil && err != io.EOF {
		l.err = err
	}
	return n, err
}

// explain returns the error for a form that can't be read: a FormError if the
// client is to blame.
func (l *headerLimit) explain(err error) error {
	switch {
	case l.over:
		return tooLarge("a part's header has over %d bytes", maxPartHeader)
	case l.err != nil:
		return l.err
	case errors.As(err, new(*FormError)), errors.As(err, new(*os.PathError)):
		return err
	case err == io.ErrUnexpectedEOF || err == io.EOF:
		return malformed("it is cut off")
	}
	return malformed("%w", err)
}
