package httpmsg

import (
	"slices"
	"strings"
	"testing"
)

func TestParseForwarded(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  []ForwardedElement // nil: malformed
	}{
		{[]string{""}, []ForwardedElement{}},
		{[]string{" , ,"}, []ForwardedElement{}},
		{[]string{"for=192.0.2.43"}, []ForwardedElement{{For: "192.0.2.43", Text: "for=192.0.2.43"}}},
		{[]string{`For="[2001:db8:cafe::17]:4711"`}, []ForwardedElement{{For: "[2001:db8:cafe::17]:4711", Text: `For="[2001:db8:cafe::17]:4711"`}}},
		{[]string{"for=192.0.2.60;proto=http;by=203.0.113.43;host=a.test"}, []ForwardedElement{{"192.0.2.60", "http", "a.test", "for=192.0.2.60;proto=http;by=203.0.113.43;host=a.test"}}},
		{[]string{"for=1.1.1.1 , for=_hidden", "for=unknown;ext=\"a\\\"b,c;d\""}, []ForwardedElement{
			{For: "1.1.1.1", Text: "for=1.1.1.1"}, {For: "_hidden", Text: "for=_hidden"}, {For: "unknown", Text: `for=unknown;ext="a\"b,c;d"`}}},
		{[]string{"for=[2001:db8::1]:80; proto=https"}, []ForwardedElement{{For: "[2001:db8::1]:80", Proto: "https", Text: "for=[2001:db8::1]:80; proto=https"}}},
		{[]string{`host="a.test:8080"`}, []ForwardedElement{{Host: "a.test:8080", Text: `host="a.test:8080"`}}},
		{[]string{"host=\"a\\\"\tb\""}, []ForwardedElement{{Host: "a\"\tb", Text: "host=\"a\\\"\tb\""}}},
		{[]string{`for=""`}, []ForwardedElement{{Text: `for=""`}}},
		{[]string{"for"}, nil},
		{[]string{"for:a"}, nil},
		{[]string{"for="}, nil},
		{[]string{"=a"}, nil},
		{[]string{"for =a"}, nil},
		{[]string{"for=a;"}, nil},
		{[]string{"for=a;;proto=http"}, nil},
		{[]string{"for=a b"}, nil},
		{[]string{`for="a`}, nil},
		{[]string{`for="a\`}, nil},
		{[]string{`for="a"b`}, nil},
		{[]string{"for=\"a\x01\""}, nil},
		{[]string{"for=a;for=b"}, nil},
		{[]string{"for=1.1.1.1", "for"}, nil},
	} {
		have, err := ParseForwarded(c.lines)
		if (c.want == nil) != (err != nil) || !slices.Equal(have, c.want) {
			t.Errorf("%q: %q, %v; want %q", c.lines, have, err, c.want)
		}
	}
}

// FuzzParseForwarded: the texts of elements, joined, have the same elements. So
// what is passed on means what was understood.
func FuzzParseForwarded(f *testing.F) {
	for _, s := range []string{"for=1.1.1.1, for=\"[::1]:80\";proto=https", `host="a\"b" ,,for=_x`, `for="a`, "for=a;for=b", " , "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		elements, err := ParseForwarded([]string{line})
		if err != nil {
			return
		}
		var texts []string
		for _, e := range elements {
			texts = append(texts, e.Text)
		}
		again, err := ParseForwarded([]string{strings.Join(texts, ", ")})
		if err != nil || !slices.Equal(again, elements) {
			t.Errorf("%q is %q, then %q: %v", line, elements, again, err)
		}
	})
}
