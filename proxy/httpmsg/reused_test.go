package httpmsg

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
)

func TestReusedHeader(t *testing.T) {
	fill := func(h http.Header, n int) {
		for i := range n {
			h[fmt.Sprint(i)] = nil
		}
	}
	for _, c := range []struct {
		name string
		use  func(h *ReusedHeader)
		same bool
	}{
		{"few fields", func(h *ReusedHeader) { fill(h.Fields(), KeptFields) }, true},
		{"many fields", func(h *ReusedHeader) { fill(h.Fields(), KeptFields+1) }, false},
		{"many fields, cleared", func(h *ReusedHeader) { fill(h.Fields(), KeptFields+1); h.Clear() }, false},
		{"many fields, seen and removed", func(h *ReusedHeader) { fill(h.Fields(), KeptFields+1); clear(h.Fields()) }, false},
	} {
		var h ReusedHeader
		before := h.Fields()
		c.use(&h)
		h.Next()
		after := h.Fields()
		if len(after) > 0 {
			t.Errorf("%s: the next header begins with %d fields", c.name, len(after))
		}
		before["Mark"] = nil
		if same := maps.EqualFunc(before, after, func(a, b []string) bool { return true }); same != c.same {
			t.Errorf("%s: the same map is used again: %v", c.name, same)
		}
		if delete(before, "Mark"); h.Grown() {
			t.Errorf("%s: the next header counts fields of the last", c.name)
		}
	}
}

// TestParserGrown: what a head with many fields has taken is recognized even if they all
// have the same name.
func TestParserGrown(t *testing.T) {
	for _, n := range []int{1, KeptFields, KeptFields + 1} {
		var p Parser
		head := "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("F:\r\n", n-1) + "\r\n"
		if _, err := p.ParseHead([]byte(head), new(http.Request)); err != nil {
			t.Fatal(err)
		}
		if p.Grown() != (n > KeptFields) {
			t.Errorf("%d fields: Grown is %v", n, p.Grown())
		}
	}
}
