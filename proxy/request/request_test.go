package request

import (
	"context"
	"net/http"
	"reflect"
	"testing"
	"time"
)

// TestBeginForgets fills every field of a Request, and begins the next one: nothing
// of the last request may be seen in it.
func TestBeginForgets(t *testing.T) {
	r := new(Request)
	r.Open(context.Background(), context.Background())
	r.Begin(new(http.Request), nil)
	r.received.Store(7)
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); v.Type().Field(i).IsExported() && v.Type().Field(i).Name != "Request" {
			fill(t, f)
			if f.IsZero() {
				t.Fatalf("the test doesn't fill %s", v.Type().Field(i).Name)
			}
		}
	}
	began := time.Now()
	r.Begin(new(http.Request), nil)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.IsExported() && f.Name != "Request" && f.Name != "Started" && !v.Field(i).IsZero() {
			t.Errorf("%s is that of the last request", f.Name)
		}
	}
	if r.Started.Before(began) || r.Received() != 0 {
		t.Errorf("it began at %v and received %d bytes", r.Started, r.Received())
	}
}

// fill sets a value to something else than its zero value.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Func:
		v.Set(reflect.MakeFunc(v.Type(), func([]reflect.Value) []reflect.Value { return nil }))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Interface:
		switch v.Type() {
		case reflect.TypeFor[error]():
			v.Set(reflect.ValueOf(ErrNoRoute))
		case reflect.TypeFor[Pages]():
			v.Set(reflect.ValueOf(noPages{}))
		default:
			v.Set(reflect.ValueOf(context.Background()))
		}
	case reflect.Struct:
		switch x := v.Addr().Interface().(type) {
		case *time.Time:
			*x = time.Unix(1, 0)
		default:
			for i := range v.NumField() {
				if v.Field(i).CanSet() {
					fill(t, v.Field(i))
				}
			}
			if v.IsZero() { // a netip.AddrPort, whose fields are its own
				parse := v.Addr().MethodByName("UnmarshalText")
				parse.Call([]reflect.Value{reflect.ValueOf([]byte("192.0.2.1:1"))})
			}
		}
	default:
		t.Fatalf("the test can't fill a %s", v.Kind())
	}
}

type noPages struct{}

func (noPages) Page(int) (contentType string, body []byte, ok bool) { return "", nil, false }

// TestDetachBesideDial: what a guard has begun may ask the context of a request for values
// while the backend detaches the request: a dial of net/http does so, which goes on when
// its request has got another connection.
func TestDetachBesideDial(t *testing.T) {
	type key struct{}
	base := context.WithValue(t.Context(), key{}, "value")
	for range 100 {
		client, leave := context.WithCancel(base)
		r := new(Request)
		ctx := r.Open(client, base)
		r.Begin(new(http.Request).WithContext(ctx), nil)
		begun, dialled := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(dialled)
			for i := range 100 {
				if ctx.Value(key{}) != "value" {
					t.Error("the value is gone")
				}
				ctx.Deadline()
				if i == 10 {
					close(begun)
				}
			}
		}()
		<-begun
		r.Detach()
		leave()
		<-dialled
		if err := ctx.Err(); err != nil {
			t.Fatalf("the request ends with its client: %v", err)
		}
	}
}
