package php

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mkd/internal/testserver/phpfpm"
	"mkd/proxy/fastcgi"
)

// startFPM starts a PHP-FPM with settings, and returns a client of a script on it.
func startFPM(t *testing.T, path string, settings ...string) http.RoundTripper {
	t.Helper()
	script, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := phpfpm.Start(t, 1, append(settings, "php_admin_value[output_buffering] = 0")...)
	f.Write(t, "http.php", string(script))
	return &fastcgi.Transport{Network: f.Network, Address: f.Address, ReadTimeout: time.Minute,
		Call: func(r *http.Request) *fastcgi.Call {
			c := httpCall("GET", "/", nil, "")
			s := fastcgi.Script{Filename: filepath.Join(f.Dir, "http.php"), Name: "/http.php", DocumentRoot: f.Dir,
				ServerAddr: c.ServerAddr, RemoteAddr: c.ClientAddr}
			return &fastcgi.Call{Params: func(p *fastcgi.Params) error { s.AddParams(p, r); return nil }}
		}}
}

// knownDifferences are the variables of a server that differ on purpose:
// docs/php.md names them.
var knownDifferences = []string{"DOCUMENT_ROOT", "SCRIPT_FILENAME", "FCGI_ROLE", "REDIRECT_STATUS", "USER", "HOME", "PATH", "LANG"}

// TestAsFPM sends the same requests to a worker and to PHP-FPM, and compares
// what PHP makes of them.
func TestAsFPM(t *testing.T) { compareWithFPM(t, 10) }

// compareWithFPM is TestAsFPM with bodies of so many MiB.
func compareWithFPM(t *testing.T, size int) {
	p, _ := start(t, Options{Script: "testdata/http.php", MinWorkers: 1, MaxWorkers: 1,
		Ini: map[string]string{"post_max_size": "200M", "request_order": "GP"}})
	fpm := startFPM(t, "testdata/globals.php")
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	cookies := func(lines ...string) http.Header { return http.Header{"Cookie": lines} }
	parts := func(parts ...string) string { return strings.Join(parts, "") + "--b--\r\n" }
	multi := http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}
	raw := func(disposition, more, content string) string {
		return "--b\r\nContent-Disposition: " + disposition + "\r\n" + more + "\r\n" + content + "\r\n"
	}
	numbered := func(format string, n int) string {
		var all strings.Builder
		for i := range n {
			fmt.Fprintf(&all, format, i)
		}
		return all.String()
	}
	binary := make([]byte, 256)
	for i := range binary {
		binary[i] = byte(i)
	}
	var odd strings.Builder
	for i, size := range []string{"3", "3x", " 3", "3.9", "+3", "0x5", "x", "", "0", "-1", "-", "99999999999999999999", "-99999999999999999999", "3 4", "\n3"} {
		odd.WriteString(fieldPart("MAX_FILE_SIZE", size) + filePart(fmt.Sprintf("f%d", i), "a", "1234"))
	}
	odd.WriteString(fieldPart("MAX_FILE_SIZE", "-1") + filePart("empty", "a", ""))
	bigFile := strings.Repeat("0123456789abcde\n", 1<<16)
	huge := strings.Repeat(bigFile, size)
	for _, c := range []struct {
		name, method, query string
		header              http.Header
		body                string
	}{
		{"nothing", "GET", "", nil, ""},
		{"query", "GET", "a=1&b=2&a=3&c&d=&=e&f=g=h", nil, ""},
		{"nested query", "GET", "a[]=1&a[]=2&b[x][y]=3&b[x][]=4&c[=5&d]=6&e[f=7&[g]=8&h[]i=9&0=x&1[2]=y", nil, ""},
		{"odd names", "GET", "a.b=1&c+d=2&e%20f=3&%20g=4&h%00i=5&j%5B%5D=6&.k=7&l[m.n]=8&o[p+q]=9", nil, ""},
		{"odd values", "GET", "a=%&b=%zz&c=%41%&d=+%2B&e=%00%ff&f=;&g=a;b", nil, ""},
		{"many", "GET", strings.Repeat("x[]=1&", 2000), nil, ""},
		{"deep", "GET", "a" + strings.Repeat("[b]", 100) + "=1", nil, ""},
		{"query and form", "POST", "a=1&b=2&c[x]=1", form, "a=3&d=4&c[y]=2"},
		{"as many fields as may be", "POST", "", form, numbered("f%d=1&", 1000) + "&"},
		{"a field more", "POST", "", form, numbered("f%d=1&", 1001)},
		{"many fields", "POST", "", form, numbered("f%d=1&", 3000)},
		{"many empty fields", "POST", "", form, "a=1&" + strings.Repeat("&", 998) + "b=2&c=3&d=4"},
		{"a list with a field more", "POST", "", form, strings.Repeat("x[]=1&", 1000) + "x[]=2&x[]=3"},
		{"nested lists with a field more", "POST", "", form, strings.Repeat("x[y][][z]=1&", 1000) + "x[y][%20][z]=2&a=3"},
		{"a key with a field more", "POST", "", form, strings.Repeat("x[0][y]=1&", 1000) + "x[0][]=2"},
		{"a field more over another", "POST", "", form, "x=1&" + numbered("f%d=1&", 999) + "x[y]=2"},
		{"a field more under another", "POST", "", form, "x[y]=1&" + numbered("f%d=1&", 999) + "x=2"},
		{"a field more after the last index", "POST", "", form, "x[9223372036854775807]=1&" + numbered("f%d=1&", 999) + "x[]=2"},
		{"a field more with an odd name", "POST", "", form, numbered("f%d=1&", 1000) + "a.b[c[d]=2"},
		{"a field more without a name", "POST", "", form, numbered("f%d=1&", 1000) + "=2"},
		{"a field more without a value", "POST", "", form, numbered("f%d=1&", 1000) + "x%5B%5D"},
		{"a field more that nests too deep", "POST", "", form, numbered("f%d=1&", 1000) + "a" + strings.Repeat("[b]", 100) + "=1"},
		{"many fields with a file", "POST", "", multi, parts(numbered("--b\r\nContent-Disposition: form-data; name=f%d\r\n\r\n1\r\n", 1001), filePart("f", "a.txt", "content"))},
		{"as many parts as may be", "POST", "", multi, parts(numbered("--b\r\nContent-Disposition: form-data; name=f%d\r\n\r\n1\r\n", 1019), filePart("f", "a.txt", "content"))},
		{"a part more", "POST", "", multi, parts(numbered("--b\r\nContent-Disposition: form-data; name=f%d\r\n\r\n1\r\n", 1019), filePart("f", "a.txt", "content"), filePart("g", "b.txt", "content"))},
		{"parts that are no fields don't count", "POST", "", multi, parts(strings.Repeat("--b\r\nX: y\r\n\r\n1\r\n", 1100), filePart("f", "a.txt", "content"))},
		{"empty form", "POST", "", form, ""},
		{"form in an odd type", "POST", "", http.Header{"Content-Type": {"APPLICATION/x-www-form-urlencoded ; charset=x"}}, "a=1"},
		{"form with a comma after its type", "POST", "", http.Header{"Content-Type": {"application/x-www-form-urlencoded, x"}}, "a=1"},
		{"form with a blank after its type", "POST", "", http.Header{"Content-Type": {"application/x-www-form-urlencoded x"}}, "a=1"},
		{"form of another type", "POST", "", http.Header{"Content-Type": {"application/x-www-form-urlencodedx"}}, "a=1"},
		{"form with PUT", "PUT", "", form, "a=1"},
		{"form with a new line", "POST", "", form, "a=1\r\nb=2&c=3\n"},
		{"binary form", "POST", "", form, "a=" + string(binary) + "&b=2"},
		{"binary body", "POST", "", http.Header{"Content-Type": {"application/octet-stream"}}, string(binary)},
		{"body without a type", "POST", "", nil, "a=1"},
		{"json", "POST", "", http.Header{"Content-Type": {"application/json"}}, `{"a": 1}`},
		{"1 MiB", "POST", "", http.Header{"Content-Type": {"text/plain"}}, bigFile},
		{"1 MiB form", "POST", "", form, "a=" + bigFile},
		{"huge", "PUT", "", nil, huge},
		{"fields", "GET", "", http.Header{"X-One": {"a", "b"}, "X-Empty": {""}, "Accept": {"*/*"}, "Proxy": {"x"}, "X_A": {"x"}, "X.B": {"x"}, "Content-Type": {"text/x"}}, ""},
		{"basic", "GET", "", http.Header{"Authorization": {"Basic dXNlcjpwYXNzOndvcmQ="}}, ""},
		{"basic without a password", "GET", "", http.Header{"Authorization": {"Basic dXNlcg=="}}, ""},
		{"basic with an empty password", "GET", "", http.Header{"Authorization": {"Basic dXNlcjo="}}, ""},
		{"basic with a NUL in the name", "GET", "", http.Header{"Authorization": {"Basic AHU6cA=="}}, ""},
		{"basic with a NUL in the password", "GET", "", http.Header{"Authorization": {"Basic dTpwAHA="}}, ""},
		{"basic with a NUL before the password", "GET", "", http.Header{"Authorization": {"Basic dToAcA=="}}, ""},
		{"several types", "POST", "", http.Header{"Content-Type": {"application/x-www-form-urlencoded", "text/plain"}}, "a=1"},
		{"several types, the form last", "POST", "", http.Header{"Content-Type": {"text/plain", "application/x-www-form-urlencoded"}}, "a=1"},
		{"empty type", "POST", "", http.Header{"Content-Type": {""}}, "a=1"},
		{"digest", "GET", "", http.Header{"Authorization": {`Digest username="a"`}}, ""},
		{"bearer", "GET", "", http.Header{"Authorization": {"Bearer x"}}, ""},
		{"cookies", "GET", "", cookies("a=1; b=2;c=3;d; e=; =f; g=h=i"), ""},
		{"repeated cookies", "GET", "", cookies("a=1; a=2", "a=3; b=4"), ""},
		{"nested cookies", "GET", "", cookies("a[x]=1; a[y]=2; b[]=3; b[]=4; a[x]=5; c=6; c[z]=7; d[z]=8; d=9"), ""},
		{"many cookies", "GET", "", cookies(strings.Repeat("a[]=1; ", 1500) + "b=2"), ""},
		{"odd cookies", "GET", "", cookies("a.b=1; c%20d=2; e=%41+%2B; a_b=3; f f=4; __Host-x=5; ..Host-y=6; _.Host-z=7; [g]=8; h=%00; i=\"q\"; 12=n; __Host-a b=10; __Secure-c =11"), ""},
		{"file", "POST", "q=1", multi, parts(fieldPart("a", "1"), filePart("f", "a.txt", "content"), fieldPart("b", "2"))},
		{"files in arrays", "POST", "", multi, parts(filePart("f[]", "a", "1"), filePart("f[]", "b", "22"), filePart("g[x][y]", "c", "333"), filePart("g[x][z]", "d", ""))},
		{"nested fields", "POST", "", multi, parts(fieldPart("a[]", "1"), fieldPart("a[]", "2"), fieldPart("b[x][]", "3"), fieldPart("c.d", "4"), fieldPart("e[", "5"))},
		{"binary fields", "POST", "", multi, parts(fieldPart("a", string(binary)), fieldPart("b&=c", "&=+%41"), fieldPart("", "x"))},
		{"names of files", "POST", "", multi, parts(filePart("a", `C:\\dir\\f.txt`, "x"), filePart("b", "../../etc/passwd", "x"), filePart("c", `q\"uote.txt`, "x"),
			filePart("d", "ü日本.txt", "x"), filePart("e", "a/b\\\\c/", "x"), filePart("f", "..", "x"), filePart("g", "a%22b", "x"), filePart("h", ".htaccess", "x"), filePart("i", "a;b=c", "x"))},
		{"no file", "POST", "", multi, parts(filePart("f", "", ""), filePart("g[]", "", ""))},
		{"fields of files", "POST", "", multi, parts(filePart("a.b", "x", "1"), filePart("c d", "x", "2"),
			filePart("0", "x", "6"), filePart("j[0]", "x", "7"), filePart("j[2]", "x", "8"), filePart("j[]", "x", "9"), filePart("k[", "x", "3"))},
		{"the same field twice", "POST", "", multi, parts(filePart("f", "a", "1"), filePart("f", "b", "2"), fieldPart("g", "1"), fieldPart("g", "2"))},
		{"field and file", "POST", "", multi, parts(fieldPart("f", "1"), filePart("f", "b", "2"))},
		{"odd dispositions", "POST", "", multi, parts(raw("form-data; name=a", "", "1"), raw("form-data; NAME='b'; x=y", "", "2"), raw("form-data; name=c; filename=d e.txt", "", "3"),
			raw(`form-data; name="g\"h"`, "", "4"), raw(`form-data;name="i";filename="j;k"`, "Content-Type: text/html; charset=x\r\n", "5"), raw("attachment; filename=anonymous", "", "6"))},
		{"MAX_FILE_SIZE", "POST", "", multi, parts(fieldPart("MAX_FILE_SIZE", "3"), filePart("f", "a", "123"), filePart("g", "b", "1234"))},
		{"odd MAX_FILE_SIZE", "POST", "", multi, odd.String() + "--b--\r\n"},
		{"preamble and epilogue", "POST", "", multi, "preamble\r\n" + parts(fieldPart("a", "1")) + "epilogue"},
		{"lines in a file", "POST", "", multi, parts(filePart("f", "a", "\r\n--c\r\n--\r\n\r\n-"), filePart("g", "a", "\n"))},
		{"1 MiB file", "POST", "", multi, parts(filePart("f", "a", bigFile), fieldPart("a", "1"))},
		{"huge file", "POST", "", multi, parts(filePart("f", "a", huge), fieldPart("a", "1"))},
		{"boundary without quotes", "POST", "", http.Header{"Content-Type": {"multipart/form-data; boundary=a=/:b c"}}, "--a=/:b c\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--a=/:b c--\r\n"},
		{"boundary in quotes", "POST", "", http.Header{"Content-Type": {`multipart/form-data; charset=x; boundary="b,c;d"; y=z`}}, "--b,c;d\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b,c;d--\r\n"},
		{"boundary after a comma", "POST", "", http.Header{"Content-Type": {"multipart/form-data, boundary=b, x"}}, parts(fieldPart("a", "1"), filePart("f", "a", "1"))},
		{"boundary in capitals", "POST", "", http.Header{"Content-Type": {"multipart/FORM-data; BOUNDARY=b"}}, parts(fieldPart("a", "1"))},
		{"form with files by PUT", "PUT", "", multi, parts(filePart("f", "a", "1"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			compareGlobals(t, p, fpm, c.method, c.query, c.header, c.body)
		})
	}
}

// compareGlobals sends a request to a worker and to PHP-FPM, and compares what PHP makes
// of it.
func compareGlobals(t *testing.T, p *Pool, fpm http.RoundTripper, method, query string, header http.Header, body string) {
	t.Helper()
	target := "/globals"
	if query != "" {
		target += "?" + query
	}
	u := &url.URL{Path: "/globals", RawQuery: query}
	call := httpCall(method, "/globals", header, body)
	call.Request.URL, call.RequestURI = u, target
	mine := decodeGlobals(t, request(t, p, call).body.Bytes())
	r := httpCall(method, "/globals", header, body).Request
	r.URL = u
	resp, err := fpm.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	theirs := decodeGlobals(t, text)
	if method != "POST" && IsForm(r) { // a worker has it in $r->form and $r->files
		delete(theirs, "php://input")
		delete(mine, "php://input")
	}
	for name, want := range theirs {
		if got := mine[name]; got != want {
			t.Errorf("%s:\n%s\nPHP-FPM has\n%s", name, got, want)
		}
	}
	for name, got := range mine {
		if _, there := theirs[name]; !there {
			t.Errorf("%s: %s; PHP-FPM has none", name, got)
		}
	}
}

// decodeGlobals reads what testdata/globals.php prints, and leaves out what
// may differ.
func decodeGlobals(t *testing.T, text []byte) map[string]string {
	t.Helper()
	var all struct {
		GET, POST, COOKIE, REQUEST, FILES, Input, Headers string
		SERVER                                            map[string]any
	}
	if i := bytes.IndexByte(text, '{'); i > 0 { // a warning comes first
		text = text[i:]
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatalf("%v in %.500s", err, text)
	}
	plain := func(s string) string {
		s, _ = url.QueryUnescape(s)
		return s
	}
	found := map[string]string{"$_GET": plain(all.GET), "$_POST": plain(all.POST), "$_COOKIE": plain(all.COOKIE),
		"$_REQUEST": plain(all.REQUEST), "$_FILES": plain(all.FILES), "php://input": plain(all.Input), "getallheaders": plain(all.Headers)}
	for name, value := range all.SERVER {
		found["$_SERVER "+name] = fmt.Sprint(value)
	}
	for _, name := range knownDifferences {
		delete(found, "$_SERVER "+name)
	}
	for _, kv := range os.Environ() { // a worker sees mkd's environment
		name, _, _ := strings.Cut(kv, "=")
		delete(found, "$_SERVER "+name)
	}
	return found
}

// TestSeparatorsAsFPM: arg_separator.input is for the query alone.
func TestSeparatorsAsFPM(t *testing.T) {
	for _, separators := range []string{";", "&;"} {
		p, _ := start(t, Options{Script: "testdata/http.php", MinWorkers: 1, MaxWorkers: 1, Ini: map[string]string{"arg_separator.input": separators}})
		fpm := startFPM(t, "testdata/globals.php", "php_admin_value[arg_separator.input] = \""+separators+"\"")
		const fields = "a=1;b=2&c[x]=3;d&c[y]=%3B%26&e"
		compareGlobals(t, p, fpm, "GET", fields, http.Header{"Cookie": {"a[x]=1&2; a[y]=3; b=4&c=5"}}, "")
		form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		compareGlobals(t, p, fpm, "POST", "", form, fields)
		compareGlobals(t, p, fpm, "POST", "", form, strings.Repeat("x[]=1;2&", 1002))
		compareGlobals(t, p, fpm, "POST", "", http.Header{"Content-Type": {"multipart/form-data; boundary=b"}},
			fieldPart("a[x]", "1;2&3")+fieldPart("a[y;z]", "4")+filePart("f[x]", "a;b", "5")+filePart("f[y]", "c&d", "6")+"--b--")
	}
}

// TestLimitsAsFPM: what is counted for max_input_vars and max_input_nesting_level is the
// same in a worker.
func TestLimitsAsFPM(t *testing.T) {
	p, _ := start(t, Options{Script: "testdata/http.php", MinWorkers: 1, MaxWorkers: 1, Ini: map[string]string{"max_input_vars": "5", "max_input_nesting_level": "3"}})
	fpm := startFPM(t, "testdata/globals.php", "php_admin_value[max_input_vars] = 5", "php_admin_value[max_input_nesting_level] = 3")
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	multi := http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}
	for n := 4; n <= 7; n++ {
		for _, separator := range []string{"&", "&&", "&=x&"} {
			for _, last := range []string{"", "&", "&=x", "&a[b]=1&a[c]=2"} {
				fields := "c=1" + strings.Repeat(separator+"c[]=1", n-1) + last
				cookies := http.Header{"Cookie": {strings.ReplaceAll(fields, "&", "; ")}}
				compareGlobals(t, p, fpm, "GET", fields, cookies, "")
				compareGlobals(t, p, fpm, "POST", "", form, fields)
			}
		}
		compareGlobals(t, p, fpm, "POST", "", multi, strings.Repeat(fieldPart("c[]", "1")+fieldPart("", "2"), n/2)+fieldPart("d", "3")+"--b--")
	}
	for n := range 5 {
		name := "a" + strings.Repeat("[b]", n)
		cookies := http.Header{"Cookie": {name + "=1; a[x]=2"}}
		compareGlobals(t, p, fpm, "GET", name+"=1&a[]=3", cookies, "")
		compareGlobals(t, p, fpm, "POST", "", form, name+"=1")
		compareGlobals(t, p, fpm, "POST", "", multi, filePart(name, "x", "1")+fieldPart("q"+name, "x")+filePart("z", "x", "1")+"--b--")
	}
}

// TestBuffersAsFPM: what a script prints, and what the functions of output buffers
// return, are the same in a worker and in PHP-FPM without output_buffering. The
// exceptions are in the list of functions in docs/php.md.
func TestBuffersAsFPM(t *testing.T) {
	p, _ := start(t, Options{Script: "testdata/buffers.php", MinWorkers: 1, MaxWorkers: 1})
	fpm := startFPM(t, "testdata/buffers.php")
	pid := get(t, p, "/?way=pid").body.String()
	names := strings.Split(get(t, p, "/?way=names").body.String(), "\n")
	if len(names) < 20 {
		t.Fatalf("%q", names)
	}
	for _, name := range names {
		c := httpCall("GET", "/?way="+url.QueryEscape(name), nil, "")
		resp, err := fpm.RoundTrip(c.Request)
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := request(t, p, c).body.String(); got != string(want) {
			t.Errorf("%s: %q, PHP-FPM has %q", name, got, want)
		}
	}
	if get(t, p, "/?way=pid").body.String() != pid {
		t.Error("the worker was replaced")
	}
}
