package site

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/textproto"
	"path"
	"strconv"
	"strings"
	"time"
)

// maxRanges is how many ranges of a file a request may ask for; with more it gets
// the whole file (RFC 9110, section 14.2). Each range has a header of its own in the
// response, many times as long as its part of the request.
const maxRanges = 16

// send serves an open file.
func (f *Files) send(w http.ResponseWriter, r *http.Request, o *opened) error {
	h := w.Header()
	for _, field := range [...]string{"Content-Length", "Content-Range", "Accept-Ranges", "Etag", "Last-Modified",
		"Content-Encoding", "Content-Digest", "Repr-Digest", "Digest", "Content-Md5"} {
		delete(h, field)
	}
	if h.Get("Content-Type") == "" {
		f.setType(h, o)
	}
	if f.CacheControl != "" && h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", f.CacheControl)
	}
	modified := modifiedAt(o.info)
	switch {
	case modified.IsZero():
	case o.known != nil:
		h.Set("Etag", o.known.etag)
	default:
		h.Set("Etag", entityTag(modified, o.info.Size(), time.Now(), o.coding))
	}
	if f.Precompressed != nil {
		h.Add("Vary", "Accept-Encoding")
		if o.coding != "" {
			h.Set("Content-Encoding", o.coding)
		}
	}
	a := &responseWriter{ResponseWriter: w, files: f, head: r.Method == http.MethodHead, length: o.info.Size()}
	switch r = plain(r, a.length); {
	case o.known != nil && !isConditional(r.Header):
		f.sendWhole(a, o)
	default:
		var content io.ReadSeeker = o.file
		if o.content != nil {
			content = bytes.NewReader(o.content)
		}
		http.ServeContent(a, r, "", modified, content)
	}
	return a.result(o.name)
}

// sendWhole does what http.ServeContent does for a known file and a request without
// conditions and ranges.
func (f *Files) sendWhole(a *responseWriter, o *opened) {
	h := a.Header()
	if o.known.lastModified != "" {
		h.Set("Last-Modified", o.known.lastModified)
	}
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.FormatInt(o.info.Size(), 10))
	a.WriteHeader(http.StatusOK)
	switch {
	case a.head:
	case o.content != nil:
		a.Write(o.content)
	default:
		a.body = io.LimitedReader{R: o.file, N: o.info.Size()}
		a.ReadFrom(&a.body)
	}
}

// isConditional reports whether a request has conditions or ranges (RFC 9110,
// sections 13.1 and 14.2).
func isConditional(h http.Header) bool {
	return h["Range"] != nil || h["If-None-Match"] != nil || h["If-Modified-Since"] != nil || h["If-Match"] != nil ||
		h["If-Unmodified-Since"] != nil || h["If-Range"] != nil
}

// modifiedAt returns when the content of a file last changed; zero: unknown, since a
// builder has set the time.
func modifiedAt(info fs.FileInfo) time.Time {
	modified := info.ModTime()
	if s := modified.Unix(); s == 0 || s == 1 {
		return time.Time{}
	}
	return modified
}

// mediaKind is the media type of a file, as a response has it.
type mediaKind struct {
	mime    string
	unknown bool // clients mustn't guess
}

func (f *Files) setType(h http.Header, o *opened) {
	var kind mediaKind
	if o.known != nil {
		kind = o.known.kind
	} else {
		kind = f.kindOf(o.name)
	}
	h.Set("Content-Type", kind.mime)
	if kind.unknown {
		h.Set("X-Content-Type-Options", "nosniff")
	}
}

func (f *Files) kindOf(name string) mediaKind {
	mime, ok := f.Types[strings.ToLower(path.Ext(name))]
	if !ok {
		mime = MediaType(name, f.Charset)
	}
	return mediaKind{cmp.Or(mime, UnknownType), mime == ""}
}

// young is how long after a change another one could have the same time.
const young = 2 * time.Second

// entityTag returns the ETag of a file that was last changed at the given time. Those
// of a file and of its encoded variants differ.
func entityTag(modified time.Time, size int64, now time.Time, coding string) string {
	buf := make([]byte, 0, 40)
	if now.Sub(modified) < young {
		buf = append(buf, "W/"...)
	}
	buf = append(buf, '"')
	buf = strconv.AppendUint(buf, uint64(modified.UnixNano()), 16)
	buf = append(buf, '-')
	buf = strconv.AppendInt(buf, size, 16)
	if coding != "" {
		buf = append(append(buf, '-'), coding...)
	}
	return string(append(buf, '"'))
}

// plain returns the request for http.ServeContent, whose content has size bytes. It has no
// ranges without a meaning: with another method than GET, in other units than bytes (RFC
// 9110, section 14.2), too many, or of no byte. A method besides GET and HEAD, which only
// ServeName gets, was handled by the application: its conditions no longer apply, and the
// file is served as for GET.
func plain(r *http.Request, size int64) *http.Request {
	acted := r.Method != http.MethodGet && r.Method != http.MethodHead
	if !acted && (r.Header["Range"] == nil || r.Method == http.MethodGet && size > 0 && sensibleRange(r.Header["Range"])) {
		return r
	}
	p := &http.Request{Method: r.Method, URL: r.URL, Header: r.Header.Clone()}
	delete(p.Header, "Range")
	if acted {
		p.Method = http.MethodGet
		for _, field := range [...]string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"} {
			delete(p.Header, field)
		}
	}
	return p
}

func sensibleRange(fields []string) bool {
	return len(fields) == 1 && strings.HasPrefix(fields[0], "bytes=") && strings.Count(fields[0], ",") < maxRanges && !hasEmptySuffix(fields[0][len("bytes="):])
}

// hasEmptySuffix reports whether one of several ranges is that of the last 0 bytes, as
// http.ServeContent reads them: it would respond with a Content-Range that ends before it
// begins.
func hasEmptySuffix(ranges string) bool {
	for one := range strings.SplitSeq(ranges, ",") {
		if n, ok := strings.CutPrefix(textproto.TrimString(one), "-"); ok && n != "" && strings.Trim(n, "+0 \t") == "" {
			return true
		}
	}
	return false
}

// responseWriter wraps the ResponseWriter for http.ServeContent, which doesn't report
// errors. It drops refusals, keeps errors, and counts the content. If the wrapped
// ResponseWriter is an io.ReaderFrom, it gets the file itself, for sendfile(2).
type responseWriter struct {
	http.ResponseWriter
	files   *Files
	head    bool
	length  int64 // of the content; of the file until the header is written
	status  int   // that was written; 0: none yet
	refused int   // the status of a refusal, which wasn't written; 0: none
	written int64 // of the content
	err     error
	body    io.LimitedReader // of sendWhole
}

func (a *responseWriter) WriteHeader(status int) {
	switch {
	case a.status != 0 || a.refused != 0:
		return
	case status >= 400:
		a.refused = status
		return
	}
	if h := a.Header(); status == http.StatusOK && h["Content-Length"] == nil { // of an encoded file
		h.Set("Content-Length", strconv.FormatInt(a.length, 10))
	} else if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil {
		a.length = n
	}
	if a.head || status == http.StatusNotModified {
		a.length = 0
	}
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (a *responseWriter) Write(p []byte) (int, error) {
	if a.refused != 0 {
		return len(p), nil
	}
	n, err := a.ResponseWriter.Write(p)
	return n, a.note(int64(n), err)
}

// ReadFrom implements io.ReaderFrom.
func (a *responseWriter) ReadFrom(src io.Reader) (n int64, err error) {
	if to, ok := a.ResponseWriter.(io.ReaderFrom); ok {
		n, err = to.ReadFrom(src)
	} else {
		buf, _ := a.files.buffers.Get().(*[32 << 10]byte)
		if buf == nil {
			buf = new([32 << 10]byte)
		}
		n, err = io.CopyBuffer(struct{ io.Writer }{a.ResponseWriter}, src, buf[:])
		a.files.buffers.Put(buf)
	}
	return n, a.note(n, err)
}

func (a *responseWriter) note(n int64, err error) error {
	a.written += n
	if a.err == nil {
		a.err = err
	}
	return err
}

// result returns the error of the response, and cleans the header if nothing was
// written.
func (a *responseWriter) result(name string) error {
	if a.refused == 0 {
		switch {
		case a.err != nil:
			return fmt.Errorf("%w: %s: %w", ErrCut, quoted(name), a.err)
		case a.written < a.length:
			return fmt.Errorf("%w: %s: %d bytes of %d: %w", ErrCut, quoted(name), a.written, a.length, io.ErrUnexpectedEOF)
		}
		return nil
	}
	h := a.Header()
	for _, field := range [...]string{"Content-Type", "X-Content-Type-Options", "Cache-Control", "Content-Encoding", "Content-Length", "Etag", "Last-Modified"} {
		delete(h, field)
	}
	switch a.refused {
	case http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("%w: %s", ErrRange, quoted(name))
	case http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %s", ErrPrecondition, quoted(name))
	}
	return fmt.Errorf("%s: its size can't be found", quoted(name)) // of a regular file it can
}
