package main

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseField(t *testing.T) {
	for in, want := range map[string]formField{
		"a=b":                               {name: "a", text: "b"},
		"a=":                                {name: "a"},
		"a=b=c":                             {name: "a", text: "b=c"},
		"a=@f":                              {name: "a", text: "f", from: '@'},
		"a=<f":                              {name: "a", text: "f", from: '<'},
		"a=@f;type=x/y":                     {name: "a", text: "f", from: '@', mimeType: "x/y"},
		"a=@f;filename=g h;type=x/y":        {name: "a", text: "f", from: '@', mimeType: "x/y", filename: "g h"},
		"a=b;type=text/x;charset=utf-8":     {name: "a", text: "b", mimeType: "text/x;charset=utf-8"},
		`a=@"f;g";filename="h\"\\;i"`:       {name: "a", text: "f;g", from: '@', filename: `h"\;i`},
		`a="b;c"`:                           {name: "a", text: "b;c"},
		"a=@-":                              {name: "a", text: "-", from: '@', filename: "-"},
		"a=@f;type=x/y;a=b;filename=g":      {name: "a", text: "f", from: '@', mimeType: "x/y;a=b", filename: "g"},
		"a=@f; type=x/y ; filename=g":       {name: "a", text: "f", from: '@', mimeType: "x/y ", filename: "g"},
		`a=b;type="x/y; boundary=\"\\\""`:   {name: "a", text: "b", mimeType: `x/y; boundary="\"`},
		"a b=c":                             {name: "a b", text: "c"},
		"a=@dir/f.txt;filename=":            {name: "a", text: "dir/f.txt", from: '@'},
		"a=@C:\\f;filename=\"\";type=\"x\"": {name: "a", text: `C:\f`, from: '@', mimeType: "x"},
	} {
		if got, err := parseField(in, false); err != nil || got != want {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "a", "=b", "a=b;c", "a=b;c=d", "a=@f;", `a="b`, `a="b"c`, `a=@f;filename="g`, "a=@f;type=x\r\ny: z"} {
		if got, err := parseField(in, false); err == nil {
			t.Errorf("%s: %+v", in, got)
		}
	}
	for _, in := range []string{"a=@f;type=x", `a="`, "a=<b"} {
		if got, err := parseField(in, true); err != nil || got != (formField{name: "a", text: in[2:]}) {
			t.Errorf("literally %s: %+v, %v", in, got, err)
		}
	}
}

func TestUpload(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a \"b\".png")
	if err := os.WriteFile(path, []byte("\x89PNG\r\n\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	notes := filepath.Join(dir, "notes.html")
	if err := os.WriteFile(notes, []byte("\xff"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || kind != "multipart/form-data" || r.Method != "POST" {
			t.Errorf("%s, %s, %v", r.Method, kind, err)
		}
		form := multipart.NewReader(r.Body, params["boundary"])
		for {
			part, err := form.NextRawPart()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			body, err := io.ReadAll(part)
			if err != nil {
				t.Error(err)
			}
			io.WriteString(w, part.Header.Get("Content-Disposition")+"|"+part.Header.Get("Content-Type")+"|"+string(body)+"\n")
		}
	})
	got := s.getWith("stdin", "-F", "a\"\r\n=é", "-F", "f=@\""+strings.ReplaceAll(path, `"`, `\"`)+"\"", "--form-string", "g=@x;y", "-F", "h=<-;type=text/x",
		"-F", "i=@"+s.file("server.key.cert")+";filename=\"x/\\\"y\";type=a/b", "-F", "j=@"+notes, "/")
	cert, err := os.ReadFile(s.file("server.key.cert"))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		`form-data; name="a%22%0D%0A"||é`,
		`form-data; name="f"; filename="a %22b%22.png"|image/png|` + "\x89PNG\r\n\x00",
		`form-data; name="g"||@x;y`,
		`form-data; name="h"|text/x|stdin`,
		`form-data; name="i"; filename="x/%22y"|a/b|` + string(cert),
		`form-data; name="j"; filename="notes.html"|text/html|` + "\xff",
		"",
	}, "\n")
	if got.code != 0 || got.out != want {
		t.Errorf("%d %s\n%q, want\n%q", got.code, got.log, got.out, want)
	}
}
