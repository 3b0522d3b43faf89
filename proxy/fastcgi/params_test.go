package fastcgi

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// decodeParams decodes PARAMS records up to the empty one.
func decodeParams(t *testing.T, wire string) (params []Param, sizes []int) {
	t.Helper()
	for {
		if len(wire) < 8 {
			t.Fatalf("the records are cut at %q", wire)
		}
		n := int(wire[4])<<8 | int(wire[5])
		if wire[:4] != "\x01\x04\x00\x01" || wire[6:8] != "\x00\x00" || len(wire) < 8+n {
			t.Fatalf("header %q with %d bytes after", wire[:8], len(wire)-8)
		}
		content := wire[8 : 8+n]
		wire = wire[8+n:]
		if n == 0 {
			if wire != "" {
				t.Fatalf("%d bytes after the end", len(wire))
			}
			return params, sizes
		}
		pairs, err := decodePairs(content)
		if err != nil {
			t.Fatal(err)
		}
		params, sizes = append(params, pairs...), append(sizes, n)
	}
}

// appendParams encodes pairs.
func appendParams(dst []byte, list []Param) ([]byte, error) {
	var p Params
	p.begin(dst)
	for _, pair := range list {
		p.Add(pair.Name, pair.Value)
	}
	return p.finish()
}

func TestParamsTable(t *testing.T) {
	long := strings.Repeat("v", 200)
	for _, c := range []struct {
		params []Param
		want   string
	}{
		{nil, "\x01\x04\x00\x01\x00\x00\x00\x00"},
		{[]Param{{"A", "bc"}}, "\x01\x04\x00\x01\x00\x05\x00\x00\x01\x02Abc\x01\x04\x00\x01\x00\x00\x00\x00"},
		{[]Param{{"A", ""}, {"B", "c"}}, "\x01\x04\x00\x01\x00\x07\x00\x00\x01\x00A\x01\x01Bc\x01\x04\x00\x01\x00\x00\x00\x00"},
		{[]Param{{"A", long}}, "\x01\x04\x00\x01\x00\xce\x00\x00\x01\x80\x00\x00\xc8A" + long + "\x01\x04\x00\x01\x00\x00\x00\x00"},
	} {
		got, err := appendParams(nil, c.params)
		if err != nil || string(got) != c.want {
			t.Errorf("%.40q: %q, %v", c.params, got, err)
		}
	}
}

// TestPairsStandWhole has pairs meet the end of a record from every side.
func TestPairsStandWhole(t *testing.T) {
	for around := -12; around <= 10; around++ {
		params := []Param{{"FIRST", strings.Repeat("x", 65535-20+around)}, {"SECOND", "y"}, {"THIRD", strings.Repeat("z", 128)}}
		got, err := appendParams([]byte("before"), params)
		if err != nil {
			t.Fatal(err)
		}
		back, sizes := decodeParams(t, string(got[len("before"):]))
		if !slices.Equal(back, params) {
			t.Fatalf("%d: not what was sent", around)
		}
		if len(sizes) != 2 {
			t.Errorf("%d: records of %d bytes", around, sizes)
		}
	}
	var many []Param
	for i := range 3000 {
		many = append(many, Param{fmt.Sprintf("HTTP_X_%d", i), strings.Repeat("v", i%300)})
	}
	got, err := appendParams(nil, many)
	if err != nil {
		t.Fatal(err)
	}
	if back, sizes := decodeParams(t, string(got)); !slices.Equal(back, many) || len(sizes) < 7 {
		t.Errorf("%d pairs in records of %d bytes", len(back), sizes)
	}
}

func TestParamsThatCantBeSent(t *testing.T) {
	fits := Param{"N", strings.Repeat("v", maxContent-1-1-4)}
	if b, err := appendParams(nil, []Param{fits}); err != nil || len(b) != 8+maxContent+8 {
		t.Errorf("the longest: %d bytes, %v", len(b), err)
	}
	for _, p := range []Param{{"N", fits.Value + "v"}, {strings.Repeat("N", 70000), ""}, {"", "v"}, {"N\x00", ""}, {"N", "/a.php\x00.jpg"}} {
		if _, err := appendParams(nil, []Param{{"OK", "1"}, p}); !errors.Is(err, ErrParam) {
			t.Errorf("%.20q: %v", p.Name, err)
		}
	}
}

func TestFieldsThatCantBeSent(t *testing.T) {
	for _, values := range [][]string{{"a\x00b"}, {"a", "\x00"}, {strings.Repeat("v", maxContent)}, {strings.Repeat("v", maxContent/2), strings.Repeat("v", maxContent/2)}} {
		p := new(Params)
		p.begin(nil)
		p.addField("X", values)
		if _, err := p.finish(); !errors.Is(err, ErrParam) {
			t.Errorf("%.20q: %v", values, err)
		}
	}
	if c, err := newConstant(Param{"OK", "1"}, Param{"N", "\x00"}); c != nil || !errors.Is(err, ErrParam) {
		t.Errorf("a constant with a NUL: %v", err)
	}
}

func TestParseLength(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "7": 7, "10": 10, "9223372036854775807": 1<<63 - 1,
		"": badLength, "x": badLength, "-1": badLength, "+1": badLength, "1 ": badLength, "01": badLength, "00": badLength, "9223372036854775808": badLength,
	} {
		if got := parseLength(s); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

func FuzzParams(f *testing.F) {
	f.Add("SCRIPT_NAME", "/index.php", "HTTP_COOKIE", "a=b", uint16(3))
	f.Add("A", "", strings.Repeat("N", 127), strings.Repeat("v", 128), uint16(300))
	f.Add("A", strings.Repeat("v", 65529), "B", "", uint16(1))
	f.Add("A", strings.Repeat("v", 65530), "", "", uint16(0))
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2 string, times uint16) {
		var params []Param
		for range times%64 + 1 {
			params = append(params, Param{n1, v1}, Param{n2, v2})
		}
		got, err := appendParams(nil, params)
		bad := params[0].check() != nil || params[1].check() != nil
		if bad != (err != nil) {
			t.Fatalf("error %v", err)
		}
		if bad {
			return
		}
		if back, _ := decodeParams(t, string(got)); !slices.Equal(back, params) {
			t.Fatal("not what was sent")
		}
	})
}
