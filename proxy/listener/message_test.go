package listener

import (
	"fmt"
	"testing"

	"mkd/megaki"
)

// TestHeaderOfManyFieldsIsNotKept: the header of a response that had many fields isn't that
// of the next one, even if the response was taken back.
func TestHeaderOfManyFieldsIsNotKept(t *testing.T) {
	for _, reset := range []bool{false, true} {
		var m message
		m.begin(new(megaki.ResponseWriter), false, false)
		h := m.Header()
		for i := range 1000 {
			h[fmt.Sprint("F", i)] = nil
		}
		if reset {
			m.Reset()
		}
		m.begin(new(megaki.ResponseWriter), false, false)
		h["Mark"] = nil
		if _, same := m.Header()["Mark"]; same {
			t.Errorf("Reset %v: the header of 1000 fields is used again", reset)
		}
	}
}
