package httpmsg

import "net/http"

// KeptFields is how many fields a message may have had for its header to be used again.
// A map never gives back what it has grown to.
const KeptFields = 50

// ReusedHeader is the header of one response after another. The map is the same for all
// of them until one has had more than KeptFields fields. The zero value is ready.
type ReusedHeader struct {
	fields http.Header
	most   int // fields that were in it, as far as anybody has seen
}

// Fields returns the header of the current response. Whoever removes many fields at once
// calls it before: it counts them.
func (h *ReusedHeader) Fields() http.Header {
	if h.fields == nil {
		h.fields = make(http.Header)
	}
	h.most = max(h.most, len(h.fields))
	return h.fields
}

// Clear removes the fields. The header stays that of the current response.
func (h *ReusedHeader) Clear() { clear(h.Fields()) }

// Next removes the fields, and makes h the header of the next response.
func (h *ReusedHeader) Next() {
	if h.Clear(); h.Grown() {
		*h = ReusedHeader{}
	}
}

// Grown reports whether the current response has had more than KeptFields fields.
func (h *ReusedHeader) Grown() bool {
	h.Fields()
	return h.most > KeptFields
}

// Grown reports whether a head had more than KeptFields fields, so that neither p nor the
// Header that it has filled should be kept.
func (p *Parser) Grown() bool { return cap(p.values) > KeptFields }
