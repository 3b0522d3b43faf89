package httpmsg

import (
	"slices"
	"testing"
)

func TestChooseCoding(t *testing.T) {
	all := []string{"zstd", "br", "gzip"}
	for _, c := range []struct {
		accept  []string
		offered []string
		want    string
	}{
		{nil, all, ""},
		{[]string{""}, all, ""},
		{[]string{"gzip"}, all, "gzip"},
		{[]string{"GZip"}, all, "gzip"},
		{[]string{"x-gzip"}, all, "gzip"},
		{[]string{"gzip, deflate, br, zstd"}, all, "zstd"},
		{[]string{"gzip, deflate, br"}, all, "br"},
		{[]string{"gzip, deflate, br"}, []string{"gzip", "br"}, "gzip"},
		{[]string{"gzip;q=1, br;q=0.9"}, all, "gzip"},
		{[]string{"gzip;q=0.5", "br;q=0.8, zstd;q=0"}, all, "br"},
		{[]string{"gzip;q=0"}, all, ""},
		{[]string{"*"}, all, "zstd"},
		{[]string{"*, zstd;q=0"}, all, "br"},
		{[]string{"*;q=0, gzip"}, all, "gzip"},
		{[]string{"identity"}, all, ""},
		{[]string{"identity, gzip"}, all, "gzip"},
		{[]string{"identity;q=0.5, gzip;q=0.2"}, all, ""},
		{[]string{"identity;q=0.2, gzip;q=0.5"}, all, "gzip"},
		{[]string{"br;q=2, zstd;q=-1, gzip;q=NaN"}, all, ""},
		{[]string{"gzip;level=9, br;q="}, all, ""},
		{[]string{"gzip"}, nil, ""},
	} {
		if got := ChooseCoding(c.accept, c.offered); got != c.want {
			t.Errorf("%q of %q: %q, want %q", c.accept, c.offered, got, c.want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { ChooseCoding([]string{"gzip, deflate, br, zstd"}, all) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzChooseCoding checks that a client gets a coding that is offered, and none
// that it doesn't name.
func FuzzChooseCoding(f *testing.F) {
	for _, s := range []string{"gzip, br;q=0.5", "*;q=0.1, identity", "x-gzip;q=1.000", ",;q=,", "zstd;Q=0.3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		got := ChooseCoding([]string{accept}, []string{"zstd", "br"})
		if got != "" && !slices.Contains([]string{"zstd", "br"}, got) {
			t.Errorf("%q: %q", accept, got)
		}
	})
}
