package forward

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"

	"mkd/proxy/httpmsg"
	"mkd/proxy/request"
)

// Compress has a backend respond, and compresses what is worth it. accepted is
// whether the client takes gzip: see TakesGzip.
func Compress(w request.Response, r *request.Request, b request.Backend, accepted bool) error {
	c := &compressor{Response: w, accepted: accepted, head: r.Method == http.MethodHead}
	defer c.release()
	to := request.Response(c)
	if m, ok := w.(request.Message); ok {
		to = &compressedMessage{c, m}
	}
	if err := b.Serve(to, r); err != nil {
		return err // the end of the gzip stream is missing, so nobody takes it for whole
	}
	err := c.end()
	if err != nil && !request.IsMessage(w) {
		err = fmt.Errorf("%w: %w", request.ErrClientGone, err)
	}
	return err
}

// SwitchProtocols implements request.Switcher, if the response does.
func (c *compressor) SwitchProtocols() (net.Conn, io.Reader, error) {
	s, ok := c.Response.(request.Switcher)
	if !ok {
		return nil, nil, errors.ErrUnsupported
	}
	return s.SwitchProtocols()
}

// compressedMessage is a compressor of a Message, which it is itself.
type compressedMessage struct {
	*compressor
	message request.Message
}

// SetReason implements request.Message.
func (c *compressedMessage) SetReason(status string) { c.message.SetReason(status) }

// Verbatim implements request.Message. A message that a backend writes itself isn't
// compressed.
func (c *compressedMessage) Verbatim() io.Writer { return c.message.Verbatim() }

// minCompressed is the length from which a body is compressed, in bytes. What is
// shorter fits a packet anyway.
const minCompressed = 1 << 10

// compressor is a response that is compressed on its way to the client, if it is
// text, the client takes gzip, and nobody has encoded it yet. Nothing is held
// back: whether it is compressed is decided with its header.
type compressor struct {
	request.Response
	accepted bool // the client takes gzip
	head     bool // the response has no body, but the header of one that has
	decided  bool
	gz       *gzip.Writer // nil: the response passes as it is
	missing  int64        // bytes of Content-Length that haven't come; less than 0: it was unknown
}

var _ io.ReaderFrom = (*compressor)(nil)

// WriteHeader implements http.ResponseWriter.
func (c *compressor) WriteHeader(status int) {
	if status >= 200 && !c.decided {
		c.decided = true
		c.decide(status)
	}
	c.Response.WriteHeader(status)
}

// decide makes the header that of a compressed response, if it is to be one.
func (c *compressor) decide(status int) {
	h := c.Header()
	if status == http.StatusNotModified {
		// It is about a response that may have been compressed, and has its fields
		// (RFC 9110, section 15.4.5).
		addVary(h)
		if c.accepted {
			weakenETag(h)
		}
		return
	}
	if c.missing = lengthOf(h); !compressible(status, h, c.missing) {
		if status == http.StatusPartialContent && h["Content-Encoding"] == nil && (isText(h.Get("Content-Type")) || isRanges(h)) {
			addVary(h) // a part of what may be compressed as a whole
		}
		return
	}
	addVary(h)
	if !c.accepted {
		return
	}
	h["Content-Encoding"] = []string{"gzip"}
	delete(h, "Content-Length")
	delete(h, "Accept-Ranges") // ranges are of another representation
	weakenETag(h)
	if !c.head {
		c.gz = gzipWriters.Get().(*gzip.Writer)
		c.gz.Reset(c.Response)
	}
}

// Write implements http.ResponseWriter.
func (c *compressor) Write(p []byte) (int, error) {
	c.begin()
	if c.gz == nil {
		return c.Response.Write(p)
	}
	n, err := c.gz.Write(p)
	if c.missing >= 0 {
		if c.missing -= int64(n); c.missing < 0 {
			return n, http.ErrContentLength
		}
	}
	return n, err
}

// ReadFrom implements io.ReaderFrom. What isn't compressed goes the same way as
// without a compressor.
func (c *compressor) ReadFrom(r io.Reader) (int64, error) {
	c.begin()
	if to, ok := c.Response.(io.ReaderFrom); ok && c.gz == nil {
		return to.ReadFrom(r)
	}
	buf := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{c}, r, buf[:])
}

func (c *compressor) begin() {
	if !c.decided {
		c.WriteHeader(http.StatusOK)
	}
}

// FlushError is for http.ResponseController.
func (c *compressor) FlushError() error {
	if c.gz != nil {
		if err := c.gz.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(c.Response).Flush()
}

// Unwrap is for http.ResponseController.
func (c *compressor) Unwrap() http.ResponseWriter { return c.Response }

// end ends the compressed body, which is whole.
func (c *compressor) end() error {
	switch {
	case c.gz == nil:
		return nil
	case c.missing > 0:
		return fmt.Errorf("the response has %d bytes less than its Content-Length: %w", c.missing, io.ErrUnexpectedEOF)
	}
	return c.gz.Close()
}

// release gives back what the compressor has.
func (c *compressor) release() {
	if c.gz != nil {
		c.gz.Reset(nil)
		gzipWriters.Put(c.gz)
		c.gz = nil
	}
}

var gzipWriters = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// compressible reports whether a response is worth compressing, and may be.
// length is that of its body; less than 0: unknown.
func compressible(status int, h http.Header, length int64) bool {
	if !httpmsg.BodyAllowed(status) || status == http.StatusPartialContent || length >= 0 && length < minCompressed || !isText(h.Get("Content-Type")) {
		return false
	}
	// Encoded already, or described by a field that fits these bytes only.
	for _, field := range [...]string{"Content-Encoding", "Content-Range", "Content-Digest", "Repr-Digest", "Digest", "Content-Md5"} {
		if h[field] != nil {
			return false
		}
	}
	for _, line := range h["Cache-Control"] { // RFC 9111, section 5.2.2.6
		if strings.Contains(strings.ToLower(line), "no-transform") {
			return false
		}
	}
	return true
}

// isText reports whether a Content-Type is one of text, be it for machines.
func isText(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	if strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml") {
		return true
	}
	switch kind {
	case "application/json", "application/xml", "application/javascript", "application/x-javascript", "application/x-ndjson", "application/yaml":
		return true
	}
	return false
}

// isRanges reports whether a response consists of several ranges, whose type is
// that of the whole.
func isRanges(h http.Header) bool {
	return strings.HasPrefix(h.Get("Content-Type"), "multipart/byteranges")
}

func lengthOf(h http.Header) int64 {
	n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// addVary makes the header show that the response depends on Accept-Encoding (RFC 9110, section
// 12.5.5).
func addVary(h http.Header) {
	for _, line := range h["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name == "*" || strings.EqualFold(name, "Accept-Encoding") {
				return
			}
		}
	}
	h["Vary"] = append(h["Vary"], "Accept-Encoding")
}

// weakenETag makes the header show that the bytes aren't always the same (RFC 9110, section 8.8.1).
func weakenETag(h http.Header) {
	if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) {
		h["Etag"] = []string{"W/" + tag}
	}
}

// TakesGzip reports whether a client takes gzip, and likes it no less than what
// isn't encoded (RFC 9110, section 12.5.3).
func TakesGzip(h http.Header) bool {
	gzip, identity, others := -1.0, -1.0, -1.0
	for _, line := range h["Accept-Encoding"] {
		for entry := range strings.SplitSeq(line, ",") {
			coding, weight, _ := strings.Cut(entry, ";")
			switch strings.ToLower(strings.TrimSpace(coding)) {
			case "gzip", "x-gzip":
				gzip = max(gzip, weightOf(weight))
			case "identity":
				identity = weightOf(weight)
			case "*":
				others = weightOf(weight)
			}
		}
	}
	if gzip < 0 {
		gzip = others
	}
	return gzip > 0 && gzip >= identity
}

// weightOf reads a weight (RFC 9110, section 12.4.2). One that isn't right is 0.
func weightOf(s string) float64 {
	if s = strings.TrimSpace(s); s == "" {
		return 1
	}
	name, value, _ := strings.Cut(s, "=")
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if !strings.EqualFold(strings.TrimSpace(name), "q") || err != nil || !(q >= 0 && q <= 1) {
		return 0
	}
	return q
}
