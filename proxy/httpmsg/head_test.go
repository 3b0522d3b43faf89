package httpmsg

import (
	"net/http"
	"reflect"
	"testing"
)

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
