package httpmsg

import (
	"errors"
	"net/http"
	"reflect"
	"testing"
)

// TestScanBeforeALineEnds: what can't become a head is refused as soon as it is seen,
// since no line end may ever come.
func TestScanBeforeALineEnds(t *testing.T) {
	for piece, ok := range map[string]bool{
		"\x16\x03\x01": false, "\x00": false, "\x1f": false, "\x7f": false, "\x80": false,
		"": true, "\r": true, " ": true, "~": true, "GET": true,
		"GET / HTTP/1.1\r": true, "GET / HTTP/1.1\rHost": false, "\rG": false,
		"GET / HTTP/1.1\r\nA: b\r": true, "GET / HTTP/1.1\r\nA: b\r ": false,
	} {
		var s HeadScanner
		n, err := s.Scan([]byte(piece))
		if e := (*Error)(nil); n != 0 || (err == nil) != ok || err != nil && (!errors.As(err, &e) || e.Status != 400) {
			t.Errorf("%q: %d, %v", piece, n, err)
		}
		s.Reset()
		for i := range len(piece) { // byte by byte
			if n, err = s.Scan([]byte(piece[:i+1])); err != nil {
				break
			}
		}
		if n != 0 || (err == nil) != ok {
			t.Errorf("%q byte by byte: %d, %v", piece, n, err)
		}
	}
}

// TestExpectInHTTP10: a client of HTTP/1.0 can't wait for 100 (RFC 9110, section 10.1.1).
func TestExpectInHTTP10(t *testing.T) {
	for _, version := range []string{"HTTP/1.0", "HTTP/1.1"} {
		f, err := new(Parser).ParseHead([]byte("POST / "+version+"\r\n"+host+"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n"), newBlank())
		if err != nil || f.Expect != (version == "HTTP/1.1") {
			t.Errorf("%s: %t, %v", version, f.Expect, err)
		}
	}
}

func newBlank() *http.Request {
	r := new(http.Request)
	Blank(r)
	return r
}

// TestBlank: an http.Request that is used again kept the GetBody that a backend had
// set, so that a second attempt at the next request sent the body of this one.
// Every field that exists is reset, or named here.
func TestBlank(t *testing.T) {
	kept := map[string]bool{
		"Header":     true, // emptied
		"RemoteAddr": true,
		"TLS":        true,
		"Cancel":     true, // deprecated: nothing here sets it
		"Proto":      true, "ProtoMajor": true, "ProtoMinor": true,
	}
	r := new(http.Request)
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); v.Type().Field(i).IsExported() {
			f.Set(notZero(f.Type()))
		}
	}
	r.Header = http.Header{"A": {"b"}}
	Blank(r)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.IsExported() && !kept[f.Name] && !v.Field(i).IsZero() {
			t.Errorf("%s is kept", f.Name)
		}
	}
	if len(r.Header) > 0 || r.Proto != "HTTP/1.1" || r.ProtoMajor != 1 || r.ProtoMinor != 1 {
		t.Errorf("%+v", r)
	}
}

// notZero returns a value of a type that isn't its zero value.
func notZero(t reflect.Type) reflect.Value {
	switch v := reflect.New(t).Elem(); t.Kind() {
	case reflect.Pointer:
		return reflect.New(t.Elem())
	case reflect.Map:
		return reflect.MakeMap(t)
	case reflect.Slice:
		return reflect.MakeSlice(t, 1, 1)
	case reflect.String:
		v.SetString("x")
		return v
	case reflect.Bool:
		v.SetBool(true)
		return v
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
		return v
	case reflect.Func:
		return reflect.MakeFunc(t, func([]reflect.Value) []reflect.Value { return nil })
	case reflect.Interface:
		return reflect.ValueOf(http.NoBody)
	case reflect.Chan:
		return reflect.MakeChan(reflect.ChanOf(reflect.BothDir, t.Elem()), 0).Convert(t)
	default:
		panic("a field of the kind " + t.Kind().String())
	}
}
