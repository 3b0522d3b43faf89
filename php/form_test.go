package php

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// multipartCall makes a call of a form whose parts are given as they are.
func multipartCall(target, body string) *HTTPCall {
	return httpCall("POST", target, http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}, body)
}

// filePart is a part with a file.
func filePart(field, name, content string) string {
	return fmt.Sprintf("--b\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"%s\"\r\nContent-Type: text/plain\r\n\r\n%s\r\n", field, name, content)
}

func fieldPart(field, value string) string {
	return fmt.Sprintf("--b\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", field, value)
}

func hash(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestFormsThatAreRefused(t *testing.T) {
	p, dir := uploadPool(t, Options{MaxUploads: 3, UploadTotal: 1000})
	cut := filePart("f", "a", "content")
	for _, c := range []struct {
		name, body string
		status     int
	}{
		{"no end", cut, 400},
		{"cut off in a header", "--b\r\nContent-Dis", 400},
		{"no boundary", "nothing of the kind", 400},
		{"a part without a name", "--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--", 400},
		{"a header without a colon", "--b\r\nnonsense\r\n\r\nx\r\n--b--", 400},
		{"a long header", "--b\r\nX: " + strings.Repeat("x", 100_000) + "\r\n\r\nx\r\n--b--", 413},
		{"many files", strings.Repeat(cut, 4) + "--b--", 413},
		{"many parts", strings.Repeat(fieldPart("a", ""), maxParts+1) + "--b--", 413},
		{"a long field", fieldPart("a", strings.Repeat("x", maxFieldBytes)) + "--b--", 413},
		{"more than there is room for", filePart("f", "a", strings.Repeat("x", 999)) + filePart("f", "a", "xx") + "--b--", 507},
	} {
		_, err := doHTTP(p, multipartCall("/dump", c.body))
		var form *FormError
		if !errors.As(err, &form) || form.Status != c.status {
			t.Errorf("%s: %v, want %d", c.name, err, c.status)
		}
	}
	for _, typ := range []string{"multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + strings.Repeat("x", 71)} {
		_, err := doHTTP(p, httpCall("POST", "/dump", http.Header{"Content-Type": {typ}}, "x"))
		if form := new(FormError); !errors.As(err, &form) || form.Status != 400 {
			t.Errorf("%s: %v", typ, err)
		}
	}
	gone := errors.New("the client is gone")
	c := multipartCall("/dump", "x")
	c.Request.Body = io.NopCloser(io.MultiReader(strings.NewReader(cut), errReader{gone}))
	if _, err := doHTTP(p, c); err != gone {
		t.Errorf("a body that breaks off: %v", err)
	}
	if left := filesBelow(t, dir); len(left) > 0 || p.uploads.used.Load() != 0 {
		t.Errorf("files are left: %v; %d bytes", left, p.uploads.used.Load())
	}
	if n := p.Status().Counts.Requests; n != 0 {
		t.Errorf("%d of the requests reached a worker", n)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestParseDisposition(t *testing.T) {
	for s, want := range map[string]disposition{
		`form-data; name="a"`:                               {"a", "", true, false},
		`form-data; name=a; filename=b.txt`:                 {"a", "b.txt", true, true},
		`form-data; name="a;b=\"c\""; filename="x\\y\"z"`:   {`a;b="c"`, `x\y"z`, true, true},
		`form-data; name='single'; FileName="C:\dir\f.txt"`: {"single", `C:\dir\f.txt`, true, true},
		`form-data; filename=""`:                            {"", "", false, true},
		`form-data; name="a`:                                {"a", "", true, false},
		`form-data; name="a"; filename*=UTF-8''x`:           {"a", "", true, false},
		`form-data; name= two words `:                       {"two", "", true, false},
		"form-data; name=\"nul\x00rest\"":                   {"nul", "", true, false},
		`;;; name=a;; filename=b;`:                          {"a", "b", true, true},
		``:                                                  {},
		`name`:                                              {},
		`="x"`:                                              {},
	} {
		if got := parseDisposition(s); got != want {
			t.Errorf("%s: %+v, want %+v", s, got, want)
		}
	}
}

func TestNests(t *testing.T) {
	for field, want := range map[string]bool{"": true, "a": true, "a[]": true, "a[b][c]": true, "[a]": true,
		"a[": false, "a]": false, "a[b]c": false, "a[b]]": false, "a[[b]]": false, "a][": false} {
		if got := nests(field); got != want {
			t.Errorf("%s: %t", field, got)
		}
	}
}

// FuzzForm has forms read that a client may send.
func FuzzForm(f *testing.F) {
	f.Add([]byte(filePart("f[]", "a.txt", "one") + fieldPart("a[b]", "c") + "--b--\r\n"))
	f.Add([]byte("--b\r\nContent-Disposition: form-data; filename=\"\\\"\r\n\r\n\r\n--b--"))
	f.Add([]byte("--b\r\nContent-Disposition: ;=;name=;name='\r\n\r\n\r\n--b--"))
	f.Add([]byte(fieldPart("MAX_FILE_SIZE", "2") + filePart("f", "a", "abc") + filePart("f", "", "") + "--b--"))
	opt := Options{MaxUploads: 3, MaxUploadSize: 1000, UploadDir: f.TempDir(), UploadTotal: 1 << 20}
	u := newUploads(&opt)
	f.Cleanup(u.close)
	f.Fuzz(func(t *testing.T, body []byte) {
		form, err := readForm(bytes.NewReader(body), "b", u, &opt)
		if err != nil {
			if !errors.As(err, new(*FormError)) {
				t.Errorf("%v", err)
			}
		} else {
			if len(form.files) > 2*opt.MaxUploads+maxParts || form.fields.size > maxFieldBytes {
				t.Errorf("%d files, %d bytes of fields", len(form.files), form.fields.size)
			}
			for _, up := range form.files {
				if strings.ContainsRune(up.field+up.name+up.typ, 0) {
					t.Errorf("%+v", up)
				}
			}
			form.close()
		}
		if n := u.used.Load(); n != 0 {
			t.Errorf("%d bytes are left", n)
		}
	})
}
