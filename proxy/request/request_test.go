package request

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/http"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestID: the id of a request is that of a trusted proxy, if it is one plain word, or a new one.
func TestID(t *testing.T) {
	r := new(Request)
	if id := r.GivenID(); id != "" {
		t.Errorf("an id that nobody asked for: %q", id)
	}
	own := r.ID()
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(own) || r.ID() != own || r.GivenID() != own {
		t.Errorf("%q, %q, %q", own, r.ID(), r.GivenID())
	}
	if other := new(Request).ID(); other[:16] == own[:16] || other[16:] == own[16:] {
		t.Errorf("%s and %s have a half in common", own, other)
	}
	for _, id := range []string{"", strings.Repeat("x", maxID+1), "two words", "a\tb", "a\x00", "a\x7f", "\u00e9"} {
		r := new(Request)
		if r.SetID(id); r.GivenID() != "" {
			t.Errorf("%q is taken", id)
		}
	}
	for _, id := range []string{"!", "~", strings.Repeat("x", maxID)} {
		r := new(Request)
		if r.SetID(id); r.ID() != id {
			t.Errorf("%q isn't taken: %q", id, r.ID())
		}
	}
	r.Open(t.Context(), t.Context())
	if r.Begin(new(http.Request), nil); r.GivenID() != "" {
		t.Errorf("the next request has the same id: %q", r.GivenID())
	}
}

// TestSetField: fields don't share memory, however many there are.
func TestSetField(t *testing.T) {
	r := new(Request)
	r.Open(t.Context(), t.Context())
	for range 2 {
		r.Begin(&http.Request{Header: make(http.Header)}, nil)
		for i := range 3 * len(r.values) {
			name := "X-" + strconv.Itoa(i)
			r.SetField(name, name)
			r.Header[name] = append(r.Header[name], "more")
		}
		for name, values := range r.Header {
			if !slices.Equal(values, []string{name, "more"}) {
				t.Errorf("%s: %q", name, values)
			}
		}
		if len(r.Header) != 3*len(r.values) {
			t.Errorf("%d fields", len(r.Header))
		}
	}
}

// lease counts how often it is released.
type lease int

func (l *lease) Handle(Response, *Request, error) error { return nil }
func (l *lease) Release()                               { *l++ }

// TestLeave: a request leaves once, and takes its timer along.
func TestLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, l := new(Request), new(lease)
		ctx := r.Open(t.Context(), t.Context())
		r.Begin(new(http.Request), l)
		r.SetTimeout(time.Second)
		done := ctx.Done()
		r.Leave()
		if r.Leave(); *l != 1 {
			t.Errorf("released %d times", *l)
		}
		if time.Sleep(time.Minute); ended(done) {
			t.Error("its timer has run")
		}
	})
}

// TestClientCert: only a certificate that the handshake has verified counts as one.
func TestClientCert(t *testing.T) {
	leaf := &x509.Certificate{Raw: []byte("raw"), SerialNumber: big.NewInt(0xabc), Subject: pkix.Name{CommonName: "a"}, Issuer: pkix.Name{CommonName: "b"}}
	shown := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
	for _, c := range []*ClientCert{nil, new(ClientCert), NewClientCert(new(tls.ConnectionState)), NewClientCert(shown)} {
		if c.Verified() || c.Result() != "NONE" {
			t.Errorf("%+v is verified", c)
		}
	}
	shown.VerifiedChains = [][]*x509.Certificate{{leaf}}
	c := NewClientCert(shown)
	if !c.Verified() || c.Result() != "SUCCESS" || c.Subject != "CN=a" || c.Issuer != "CN=b" || c.Serial != "0ABC" || c.Fingerprint != fmt.Sprintf("%x", sha256.Sum256(leaf.Raw)) {
		t.Errorf("%+v", c)
	}
}

// TestCounted: shares are by client, but for those who have all clients behind them.
func TestCounted(t *testing.T) {
	r := &Request{Client: netip.MustParseAddrPort("192.0.2.1:1")}
	if a := r.Counted(); a != r.Client.Addr() {
		t.Errorf("it counts for %v", a)
	}
	if r.Exempt = true; r.Counted().IsValid() {
		t.Errorf("it counts for %v", r.Counted())
	}
}

// TestPrintable: a name in a certificate is one line of ASCII.
func TestPrintable(t *testing.T) {
	if got := printable("CN=a ~\x1f\x7f\r\n\u00e9"); got != `CN=a ~\1F\7F\0D\0A\C3\A9` {
		t.Errorf("%s", got)
	}
}

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
