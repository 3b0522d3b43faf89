package php

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// multipartCall returns a call of a form with the given parts.
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
	p, dir := uploadPool(t, Options{MaxUploads: 3, UploadTotal: 16 << 20, Ini: map[string]string{"max_multipart_body_parts": "20000"}})
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
		{"a long field's name", strings.Repeat(fieldPart(strings.Repeat("%", 15_000), ""), maxFieldBytes/45_000+1) + "--b--", 413},
		{"long names of no files", strings.Repeat(filePart(strings.Repeat("f", 15_000), "", ""), maxFieldBytes/15_000+1) + "--b--", 413},
		{"more than there is room for", filePart("f", "a", strings.Repeat("x", 10<<20)) + filePart("f", "a", strings.Repeat("x", 7<<20)) + "--b--", 507},
		{"a field that there is no room for", filePart("f", "a", strings.Repeat("x", 10<<20)) + fieldPart("a", strings.Repeat("x", 7<<20)) + "--b--", 507},
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
	gone := errors.New("the client has left")
	c := multipartCall("/dump", "x")
	c.Request.Body = io.NopCloser(io.MultiReader(strings.NewReader(cut), errReader{gone}))
	if _, err := doHTTP(p, c); err != gone {
		t.Errorf("a body that breaks off: %v", err)
	}
	if left := filesBelow(t, dir); len(left) > 0 || p.uploads.bytes.InUse() != 0 {
		t.Errorf("files are left: %v; %d bytes", left, p.uploads.bytes.InUse())
	}
	if n := p.Status().Counts.Requests; n != 0 {
		t.Errorf("%d of the requests reached a worker", n)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// TestFormsAreShared: the forms of one client leave room for those of others.
func TestFormsAreShared(t *testing.T) {
	opt := Options{MaxUploads: 3, UploadDir: t.TempDir(), UploadTotal: 1 << 20}
	u := newUploads(&opt, nil)
	t.Cleanup(u.close)
	receive := func(client string, size int) (*form, error) {
		body := filePart("f", "a", strings.Repeat("x", size)) + "--b--"
		return readForm(strings.NewReader(body), "b", netip.MustParsePrefix(client), u, &opt, maxParts)
	}
	greedy, err := receive("192.0.2.1/32", 700<<10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := receive("192.0.2.1/32", 200<<10); !errors.As(err, new(*FormError)) {
		t.Errorf("beyond a client's share: %v", err)
	}
	other, err := receive("192.0.2.2/32", 200<<10)
	if err != nil {
		t.Fatalf("another client: %v", err)
	}
	greedy.close()
	other.close()
	if n, clients := u.bytes.InUse(), u.bytes.Clients(); n != 0 || clients != 0 {
		t.Errorf("%d bytes of %d clients are left", n, clients)
	}
}

// TestFormsTakeLittleMemory: a client that sends a long field slowly takes no memory
// for it, and its bytes count among those of all forms.
func TestFormsTakeLittleMemory(t *testing.T) {
	const clients, size = 8, 5 << 20
	opt := Options{MaxUploads: 3, UploadDir: t.TempDir(), UploadTotal: clients * (size + 1<<20)}
	u := newUploads(&opt, nil)
	defer u.close()
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	gone := errors.New("the client has left")
	field := []byte(strings.TrimSuffix(fieldPart("a", strings.Repeat("x", size)), "\r\n"))
	before := heap()
	var writers []*io.PipeWriter
	ended := make(chan error)
	for range clients {
		r, w := io.Pipe()
		go func() {
			_, err := readForm(r, "b", netip.Prefix{}, u, &opt, maxParts)
			ended <- err
		}()
		if _, err := w.Write(field); err != nil { // returns when all of it was read
			t.Fatal(err)
		}
		writers = append(writers, w)
	}
	if n := heap() - before; n > clients*(256<<10) {
		t.Errorf("%d clients hold %d bytes of memory", clients, n)
	}
	if n := u.bytes.InUse(); n < clients*(size-64<<10) {
		t.Errorf("%d bytes are accounted for", n)
	}
	_, err := readForm(strings.NewReader(fieldPart("a", strings.Repeat("x", 7<<20))+fieldPart("b", strings.Repeat("%", 2<<20))), "b", netip.Prefix{}, u, &opt, maxParts)
	if form := new(FormError); !errors.As(err, &form) || form.Status != 413 {
		t.Errorf("one form more: %v", err)
	}
	rest := u.bytes.Limit() - u.bytes.InUse() - 1<<20
	others := u.bytes.Join(netip.Addr{})
	others.Take(rest, 0)
	_, err = readForm(bytes.NewReader(field), "b", netip.Prefix{}, u, &opt, maxParts)
	if form := new(FormError); !errors.As(err, &form) || form.Status != 507 {
		t.Errorf("one form too many: %v", err)
	}
	others.Give(rest)
	runtime.KeepAlive(field) // it was there before, too
	for _, w := range writers {
		w.CloseWithError(gone)
		if err := <-ended; err != gone {
			t.Errorf("error %v", err)
		}
	}
	if n := u.bytes.InUse(); n != 0 {
		t.Errorf("%d bytes are left", n)
	}
}

// TestAppendEscaped compares appendEscaped with url.QueryEscape.
func TestAppendEscaped(t *testing.T) {
	var all []byte
	for c := range 256 {
		all = append(all, byte(c))
	}
	if got, want := string(appendEscaped(nil, all)), url.QueryEscape(string(all)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestMaxFileSizeBitByBit: the form's own limit applies, however it arrives.
func TestMaxFileSizeBitByBit(t *testing.T) {
	opt := Options{MaxUploads: 3, UploadDir: t.TempDir(), UploadTotal: 1 << 20}
	u := newUploads(&opt, nil)
	defer u.close()
	body := fieldPart("MAX_FILE_SIZE", "12") + filePart("f", "a", "0123456789ab") + filePart("f", "b", "0123456789abc") + "--b--"
	form, err := readForm(iotest.OneByteReader(strings.NewReader(body)), "b", netip.Prefix{}, u, &opt, maxParts)
	if err != nil {
		t.Fatal(err)
	}
	defer form.close()
	if f := form.files; len(f) != 2 || f[0].err != uploadOK || f[1].err != uploadOverForm || form.size != int64(len(body)) {
		t.Errorf("%+v, %d bytes", f, form.size)
	}
}

// TestLeadingInt: MAX_FILE_SIZE is read as strtol of C reads a number.
func TestLeadingInt(t *testing.T) {
	for s, want := range map[string]int64{"": 0, "10": 10, "9": 9, " \t+20x": 20, "-1": -1, "1-2": 1, "1+2": 1, "+-3": 0, "x": 0, "/1": 0, ":1": 0,
		"99999999999999999999": math.MaxInt64, "-99999999999999999999": math.MinInt64} {
		if got := leadingInt(s); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

// TestFilesWithoutNames: PHP numbers files whose field has no name.
func TestFilesWithoutNames(t *testing.T) {
	opt := Options{MaxUploads: 3, UploadDir: t.TempDir(), UploadTotal: 1 << 20}
	u := newUploads(&opt, nil)
	defer u.close()
	const file = "--b\r\nContent-Disposition: form-data; filename=\"a\"\r\n\r\nx\r\n"
	form, err := readForm(strings.NewReader(file+file+"--b--"), "b", netip.Prefix{}, u, &opt, maxParts)
	if err != nil {
		t.Fatal(err)
	}
	defer form.close()
	if f := form.files; len(f) != 2 || f[0].field != "0" || f[1].field != "1" {
		t.Errorf("%+v", f)
	}
}

// TestWhatComesAfterAForm: what follows the last part is dropped, however long it is,
// unless it can't be read: then the client is gone.
func TestWhatComesAfterAForm(t *testing.T) {
	opt := Options{MaxUploads: 3, UploadDir: t.TempDir(), UploadTotal: 1 << 20}
	u := newUploads(&opt, nil)
	defer u.close()
	body := fieldPart("a", "1") + "--b--\r\n" + strings.Repeat("x", 10*maxPartHeader)
	form, err := readForm(strings.NewReader(body), "b", netip.Prefix{}, u, &opt, maxParts)
	if err != nil || form.size != int64(len(body)) {
		t.Fatalf("%+v, %v", form, err)
	}
	form.close()
	gone := errors.New("the client is gone")
	if _, err := readForm(io.MultiReader(strings.NewReader(body), errReader{gone}), "b", netip.Prefix{}, u, &opt, maxParts); err != gone {
		t.Errorf("error %v, want %v", err, gone)
	}
}

// TestFormHoldsNothingAfterItsEnd: a form counts its files, fields and names. Once it is
// closed, nothing of it is left, and neither is anything of the folder for files after
// its end.
func TestFormHoldsNothingAfterItsEnd(t *testing.T) {
	opt := Options{MaxUploads: 3, UploadDir: t.TempDir(), UploadTotal: 1 << 20}
	u := newUploads(&opt, nil)
	body := filePart("field", "name", "content") + fieldPart("a", strings.Repeat("x", 2*longTextMemory)) + "--b--"
	form, err := readForm(strings.NewReader(body), "b", netip.Prefix{}, u, &opt, maxParts)
	if err != nil {
		t.Fatal(err)
	}
	texts := int64(fileBytes + len("field"+"name"+"text/plain") + len("a=") + 2*longTextMemory)
	if n := u.bytes.InUse(); form.taken != texts || n != texts+int64(len("content")) {
		t.Errorf("%d bytes, %d of them not in files; want %d of these", n, form.taken, texts)
	}
	form.close()
	if n := u.bytes.InUse(); n != 0 {
		t.Errorf("%d bytes are left", n)
	}
	if files := filesBelow(t, opt.UploadDir); len(files) > 0 {
		t.Errorf("files are left: %v", files)
	}
	if _, err := form.fields.file.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the file of the fields: %v", err)
	}
	u.close()
	if _, err := u.lock.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the lock: %v", err)
	}
	if _, _, err := u.create(); err != ErrClosed {
		t.Errorf("another file: %v", err)
	}
	if left, _ := os.ReadDir(opt.UploadDir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestFormsWithoutAFolder: files and long fields that can't be stored are an error, but
// not the client's.
func TestFormsWithoutAFolder(t *testing.T) {
	opt := Options{MaxUploads: 3, UploadDir: filepath.Join(t.TempDir(), "missing"), UploadTotal: 1 << 20}
	u := newUploads(&opt, nil)
	defer u.close()
	for _, part := range []string{filePart("f", "a", "x"), fieldPart("a", strings.Repeat("x", 2*longTextMemory))} {
		_, err := readForm(strings.NewReader(part+"--b--"), "b", netip.Prefix{}, u, &opt, maxParts)
		if !errors.Is(err, fs.ErrNotExist) || errors.As(err, new(*FormError)) {
			t.Errorf("%.60q: %v", part, err)
		}
		if n := u.bytes.InUse(); n != 0 {
			t.Errorf("%d bytes are left", n)
		}
	}
}

// TestFormBoundaryAsPHP: clients send boundaries without the quotes of RFC 2045.
func TestFormBoundaryAsPHP(t *testing.T) {
	seventy := strings.Repeat("x", 70)
	for typ, want := range map[string]string{
		"multipart/form-data; boundary=b":                  "b",
		"multipart/form-data; boundary=a=/:b":              "a=/:b",
		`multipart/form-data; boundary="a,;b"; charset=x`:  "a,;b",
		"Multipart/Form-Data; BOUNDARY=aB; charset=utf-8":  "aB",
		"multipart/form-data, boundary=B":                  "B",
		"multipart/form-data; boundary=a b":                "a b",
		"multipart/form-data; boundary=b ; x":              "b",
		"multipart/form-data; charset=utf-8; boundary=b,c": "b",
		"multipart/form-data":                              "",
		"multipart/form-data; boundary":                    "",
		"multipart/form-data; boundary=":                   "",
		"multipart/form-data; boundary=;":                  "",
		`multipart/form-data; boundary=""`:                 "",
		`multipart/form-data; boundary="b`:                 "",
		"multipart/form-data; boundary=" + seventy:         seventy,
		"multipart/form-data; boundary=" + seventy + "x":   "",
	} {
		if got, err := formBoundary(typ); got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v", typ, got, err)
		}
	}
}

// TestFormsOfOtherMethods: forms of PUT, PATCH and DELETE are parsed as those of
// POST, except that PHP leaves $_POST and $_FILES empty.
func TestFormsOfOtherMethods(t *testing.T) {
	p, _ := httpPool(t)
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "REPORT"} {
		plain := httpCall(method, "/forms", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, "a=1&b[]=2&b[]=3")
		files := multipartCall("/forms", fieldPart("a", "1")+fieldPart("b[]", "2")+fieldPart("b[]", "3")+filePart("f", "a.txt", "content")+"--b--")
		files.Request.Method = method
		form, body := `{"a":"1","b":["2","3"]}`, "a=1&b[]=2&b[]=3"
		for name, c := range map[string]struct {
			call *HTTPCall
			want []any // form, body, files, $_POST, $_FILES
		}{
			"plain": {plain, []any{form, body, "[]", form, 0}},
			"files": {files, []any{form, "", `{"f":["a.txt","content"]}`, form, 1}},
		} {
			switch method {
			case "POST":
			case "REPORT":
				c.want = []any{"[]", body, "[]", "[]", 0}
				if name == "files" {
					continue // the body has its boundary
				}
			default:
				c.want[3], c.want[4] = "[]", 0
			}
			want := strings.ReplaceAll(asJSON(c.want), `\u0026`, "&")
			if got := request(t, p, c.call).body.String(); got != want {
				t.Errorf("%s, %s: %s, want %s", method, name, got, want)
			}
		}
	}
}

// TestIsForm: a media type ends where it does for PHP.
func TestIsForm(t *testing.T) {
	for typ, want := range map[string]bool{
		"multipart/form-data":               true,
		"Multipart/Form-Data;boundary=b":    true,
		"multipart/form-data, boundary=b":   true,
		"multipart/form-data boundary=b":    true,
		"multipart/form-data-x; boundary=b": false,
		"multipart/mixed; boundary=b":       false,
		"application/x-www-form-urlencoded": false,
		"":                                  false,
		"x, multipart/form-data":            false,
	} {
		c := httpCall("POST", "/", http.Header{"Content-Type": {typ}}, "x")
		if got := IsForm(c.Request); got != want {
			t.Errorf("%s: %t", typ, got)
		}
		for _, method := range []string{"PUT", "PATCH", "DELETE"} {
			if c.Request.Method = method; IsForm(c.Request) != want {
				t.Errorf("%s, %s: %t", typ, method, !want)
			}
		}
		if c.Request.Method = "REPORT"; IsForm(c.Request) {
			t.Errorf("%s, REPORT", typ)
		}
	}
	if IsForm(httpCall("POST", "/", http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}, "").Request) {
		t.Error("without a body")
	}
}

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

// FuzzForm reads forms that a client may send.
func FuzzForm(f *testing.F) {
	f.Add([]byte(filePart("f[]", "a.txt", "one") + fieldPart("a[b]", "c") + "--b--\r\n"))
	f.Add([]byte("--b\r\nContent-Disposition: form-data; filename=\"\\\"\r\n\r\n\r\n--b--"))
	f.Add([]byte("--b\r\nContent-Disposition: ;=;name=;name='\r\n\r\n\r\n--b--"))
	f.Add([]byte(fieldPart("MAX_FILE_SIZE", "2") + filePart("f", "a", "abc") + filePart("f", "", "") + "--b--"))
	opt := Options{MaxUploads: 3, MaxUploadSize: 1000, UploadDir: f.TempDir(), UploadTotal: 1 << 20}
	u := newUploads(&opt, nil)
	f.Cleanup(u.close)
	f.Fuzz(func(t *testing.T, body []byte) {
		form, err := readForm(bytes.NewReader(body), "b", netip.Prefix{}, u, &opt, maxParts)
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
		if n := u.bytes.InUse(); n != 0 {
			t.Errorf("%d bytes are left", n)
		}
	})
}

// TestWarningOfManyFields: a form with more fields than max_input_vars is a line in the
// log, as it is with PHP-FPM.
func TestWarningOfManyFields(t *testing.T) {
	p, log := start(t, Options{Script: "testdata/http.php", MinWorkers: 1, MaxWorkers: 1})
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for _, c := range []struct {
		body  string
		warns int // how often, after it
	}{
		{strings.Repeat("a=1&", 1000), 0},
		{strings.Repeat("a=1&", 1001), 1},
		{strings.Repeat("a=1&", 1000) + "&", 2},
		{"a=1", 2},
	} {
		request(t, p, httpCall("POST", "/globals", form, c.body))
		const want = "Input variables exceeded 1000. To increase the limit change max_input_vars in php.ini."
		eventually(t, "the warnings are there", func() bool { return strings.Count(log.String(), want) >= c.warns })
		if n := strings.Count(log.String(), want); n != c.warns {
			t.Errorf("%d bytes: %d warnings, want %d", len(c.body), n, c.warns)
		}
	}
}

// TestPartsOfForms: PHP's limit of the parts of a form is followed, and scripts see the
// limits of uploads.
func TestPartsOfForms(t *testing.T) {
	p, log := start(t, Options{MinWorkers: 1, MaxWorkers: 1, MaxUploads: 7, MaxUploadSize: 1 << 20,
		Ini: map[string]string{"max_multipart_body_parts": "2"}, Script: script(t, `
		$ARCANGELO_USERSPACE = ['on_http' => fn () => json_encode([count($_POST), count($_FILES),
			ini_get('max_file_uploads'), ini_get('upload_max_filesize')])];`)})
	for body, want := range map[string]string{
		fieldPart("a", "1") + filePart("f", "x", "1") + "--b--":                                               `[1,1,"7","1048576"]`,
		fieldPart("a", "1") + filePart("f", "x", "1") + fieldPart("b", "") + filePart("g", "x", "") + "--b--": `[1,1,"7","1048576"]`,
	} {
		if got := request(t, p, multipartCall("/", body)).body.String(); got != want {
			t.Errorf("%s of %q, want %s", got, body, want)
		}
	}
	log.await(t, "Multipart body parts limit exceeded 2.")
}

// TestPostMaxSize: post_max_size is read as PHP reads sizes.
func TestPostMaxSize(t *testing.T) {
	for size, most := range map[string]int{"16": 16, "0x10": 16, "020": 16, "1K": 1024, "1.5k": 1024} {
		p, _ := start(t, Options{Script: "testdata/http.php", MinWorkers: 1, MaxWorkers: 1, Ini: map[string]string{"post_max_size": size}})
		for _, n := range []int{most, most + 1} {
			form := "a=" + strings.Repeat("x", n-2)
			w := request(t, p, httpCall("POST", "/dump", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, form))
			if parsed := strings.Contains(w.body.String(), `"form":{"a"`); parsed != (n == most) {
				t.Errorf("post_max_size %s: a form of %d bytes is parsed: %t", size, n, parsed)
			}
		}
	}
}
