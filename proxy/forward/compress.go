package forward

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"mkd/config"
	"mkd/httpfield"
	"mkd/proxy/httpmsg"
	"mkd/proxy/request"
)

// Compression is how the responses of a route are compressed.
type Compression struct {
	algorithms []string // in the order in which they are preferred
	types      []string // patterns of media types; nil: texts
	least      int64    // the length from which a body is compressed, in bytes
	encoders   *Encoders
}

// NewCompression returns nil if nothing is to be compressed.
func NewCompression(c *config.Compress, e *Encoders) *Compression {
	if c == nil || !c.Enabled {
		return nil
	}
	n := &Compression{algorithms: c.Algorithms, types: c.Types, least: int64(c.MinSize), encoders: e}
	if n.algorithms == nil {
		n.algorithms = []string{"zstd", "br", "gzip"}
	}
	return n
}

// Choose returns the coding for a client, "" if there is none that it takes.
func (n *Compression) Choose(h http.Header) string {
	if noTransform(h) { // RFC 9111, section 5.2.1.6
		return ""
	}
	return httpmsg.ChooseCoding(h["Accept-Encoding"], n.algorithms)
}

// Compress calls a backend, and compresses what is worth it with a coding that
// Choose returned.
func (n *Compression) Compress(w request.Response, r *request.Request, b request.Backend, coding string) error {
	c := &compressor{Response: w, request: r, rules: n, coding: coding, head: r.Method == http.MethodHead}
	defer c.release()
	to := request.Response(c)
	if m, ok := w.(request.Message); ok {
		to = &compressedMessage{c, m}
	}
	if err := b.Serve(to, r); err != nil {
		return err // the end of the compressed stream is missing, so nobody takes it for whole
	}
	err := c.end()
	if err != nil && !request.IsMessage(w) {
		err = fmt.Errorf("%w: %w", request.ErrClientGone, err)
	}
	return err
}

// SwitchProtocols implements request.Switcher, if the response does.
func (c *compressor) SwitchProtocols() (net.Conn, io.Reader, error) {
	return request.SwitchProtocols(c.Response)
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

// compressor is a response that is compressed on its way to the client, if it is of
// a type that is worth it, the client takes a coding, and nobody has encoded it yet.
// Nothing is held back: whether it is compressed is decided with its header.
type compressor struct {
	request.Response
	request *request.Request
	rules   *Compression
	coding  string // that the client takes; "": none
	head    bool   // the response has no body, but the header of one that has
	decided bool
	encoder encoder // nil: the response passes as it is
	done    func()  // ends the use of the encoder
	missing int64   // bytes of Content-Length that haven't come; less than 0: it was unknown
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
		if c.coding != "" {
			delete(h, "Content-Length") // it may be that of the bytes before
			weakenETag(h)
		}
		return
	}
	if c.missing = lengthOf(h); !c.rules.compressible(status, h, c.missing) {
		if status == http.StatusPartialContent && h["Content-Encoding"] == nil && (c.rules.takes(h.Get("Content-Type")) || isRanges(h)) {
			addVary(h) // a part of what may be compressed as a whole
		}
		return
	}
	addVary(h)
	if c.coding == "" {
		return
	}
	if !c.head {
		if c.encoder, c.done = c.rules.encoders.take(c.coding, c.request, c.Response); c.encoder == nil {
			return // there is no memory for it
		}
	}
	h["Content-Encoding"] = []string{c.coding}
	delete(h, "Content-Length")
	delete(h, "Accept-Ranges") // ranges are of another representation
	weakenETag(h)
}

// Write implements http.ResponseWriter.
func (c *compressor) Write(p []byte) (int, error) {
	c.begin()
	if c.encoder == nil {
		return c.Response.Write(p)
	}
	n, err := c.encoder.Write(p)
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
	if to, ok := c.Response.(io.ReaderFrom); ok && c.encoder == nil {
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
	if c.encoder != nil {
		if err := c.encoder.Flush(); err != nil {
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
	case c.encoder == nil:
		return nil
	case c.missing > 0:
		return fmt.Errorf("the response has %d bytes less than its Content-Length: %w", c.missing, io.ErrUnexpectedEOF)
	}
	for _, field := range digests { // that came after the body, unannounced
		delete(c.Header(), http.TrailerPrefix+field)
	}
	return c.encoder.Close()
}

// release gives back what the compressor has.
func (c *compressor) release() {
	if c.encoder != nil {
		c.done()
		c.encoder = nil
	}
}

// compressible reports whether a response is worth compressing, and may be.
// length is that of its body; less than 0: unknown.
func (n *Compression) compressible(status int, h http.Header, length int64) bool {
	if !httpmsg.BodyAllowed(status) || status == http.StatusPartialContent || length >= 0 && length < n.least || !n.takes(h.Get("Content-Type")) {
		return false
	}
	if h["Content-Encoding"] != nil || h["Content-Range"] != nil {
		return false
	}
	for _, field := range digests {
		if h[field] != nil || httpfield.HasItem(h["Trailer"], field) {
			return false
		}
	}
	return !noTransform(h) // RFC 9111, section 5.2.2.6
}

// digests are the fields that fit only the bytes of a body as it is. They may come after it
// (RFC 9530, section 2).
var digests = [...]string{"Content-Digest", "Repr-Digest", "Digest", "Content-Md5"}

// noTransform reports whether the Cache-Control of a header forbids that the body is
// encoded on its way.
func noTransform(h http.Header) bool {
	for _, line := range h["Cache-Control"] {
		if strings.Contains(strings.ToLower(line), "no-transform") {
			return true
		}
	}
	return false
}

// takes reports whether responses of a Content-Type are compressed.
func (n *Compression) takes(contentType string) bool {
	if n.types == nil {
		return isText(contentType)
	}
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	for _, pattern := range n.types {
		if prefix, all := strings.CutSuffix(pattern, "*"); kind == pattern || all && strings.HasPrefix(kind, prefix) {
			return true
		}
	}
	return false
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
	if vary := h["Vary"]; !httpfield.HasItem(vary, "*") && !httpfield.HasItem(vary, "Accept-Encoding") {
		h["Vary"] = append(vary, "Accept-Encoding")
	}
}

// weakenETag makes the header show that the bytes aren't always the same (RFC 9110, section 8.8.1).
func weakenETag(h http.Header) {
	if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) {
		h["Etag"] = []string{"W/" + tag}
	}
}
