package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// describe prints a request in one line: its body, and the fields that aren't
// there of their own accord.
func describe(r *http.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s%s", r.Method, r.Host, r.RequestURI)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		v := strings.Join(r.Header[name], ",")
		if name == "User-Agent" && strings.HasPrefix(v, "sazukari/") || name == "Accept" && v == "*/*" || name == "Content-Length" {
			continue
		}
		fmt.Fprintf(&b, " [%s: %s]", name, v)
	}
	if r.Header["Content-Length"] != nil {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(&b, " %q", body)
	}
	return b.String()
}

func TestGet(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	lines := write("lines", "a=1\r\nb\x00\xff\n")
	fields := write("fields", "X-A: 1\r\n\r\nX-B: 2\n")
	const form = "[Content-Type: application/x-www-form-urlencoded]"
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"User-Agent", "Accept"} { // once, whoever set it
			if len(r.Header[name]) > 1 {
				t.Errorf("%s: %q", name, r.Header[name])
			}
		}
		io.WriteString(w, describe(r))
	})
	for _, test := range []struct{ args, want string }{
		{"/a", "GET 127.0.0.1/a"},
		{"example.org", "GET example.org/"},
		{"http://Example.org:8080/a/./b/../c?d=e#f", "GET Example.org:8080/a/c?d=e"},
		{"--path-as-is|/a/./b/../c", "GET 127.0.0.1/a/./b/../c"},
		{"/a b/é?c d", "GET 127.0.0.1/a%20b/%C3%A9?c%20d"},
		{"-X|DELETE|/a", "DELETE 127.0.0.1/a"},
		{"-I|/a", ""},
		{"-H|X-A: b:c|-H|x-a:d|-H|X-Empty;|/", "GET 127.0.0.1/ [X-A: b:c,d] [X-Empty: ]"},
		{"-H|@" + fields + "|/", "GET 127.0.0.1/ [X-A: 1] [X-B: 2]"},
		{"-H|Accept:|-H|User-Agent:|/", "GET 127.0.0.1/"},
		{"-H|Accept: text/html|-H|user-agent: me|/", "GET 127.0.0.1/ [Accept: text/html] [User-Agent: me]"},
		{"-H|Host: example.org|/a", "GET example.org/a"},
		{"-A|me|-e|https://a/|-b|a=b|-b|c=d; e=f|/", "GET 127.0.0.1/ [Cookie: a=b; c=d; e=f] [Referer: https://a/] [User-Agent: me]"},
		{"-A|me|-H|User-Agent: you|/", "GET 127.0.0.1/ [User-Agent: you]"},
		{"-u|me:p:w|/", "GET 127.0.0.1/ [Authorization: Basic bWU6cDp3]"},
		{"http://me:p%20w@a/", "GET a/ [Authorization: Basic bWU6cCB3]"},
		{"-u|me:|http://you:x@a/", "GET a/ [Authorization: Basic bWU6]"},
		{"-u|me:pw|-H|Authorization: Bearer x|/", "GET 127.0.0.1/ [Authorization: Bearer x]"},

		// Bodies.
		{"-d|a=1|-d|b=2|/", `POST 127.0.0.1/ ` + form + ` "a=1&b=2"`},
		{"-d||/", `POST 127.0.0.1/ ` + form + ` ""`},
		{"-d|@" + lines + "|/", `POST 127.0.0.1/ ` + form + ` "a=1b\xff"`},
		{"-d|@-|/", `POST 127.0.0.1/ ` + form + ` "from stdin"`},
		{"--data-binary|@" + lines + "|/", `POST 127.0.0.1/ ` + form + ` "a=1\r\nb\x00\xff\n"`},
		{"--data-raw|@x|/", `POST 127.0.0.1/ ` + form + ` "@x"`},
		{"--data-urlencode|a b|--data-urlencode|=c=d|--data-urlencode|e=f&ü|--data-urlencode|g@" + lines + "|/",
			`POST 127.0.0.1/ ` + form + ` "a+b&c%3Dd&e=f%26%C3%BC&g=a%3D1%0D%0Ab%00%FF%0A"`},
		{"-d|x|-H|Content-Type: text/plain|/", `POST 127.0.0.1/ [Content-Type: text/plain] "x"`},
		{"-d|x|-X|PUT|/", `PUT 127.0.0.1/ ` + form + ` "x"`},
		{"-d|x y|-X|GET|/", `GET 127.0.0.1/ ` + form + ` "x y"`},
		{`--json|{"a":|--json|1}|/`, `POST 127.0.0.1/ [Accept: application/json] [Content-Type: application/json] "{\"a\":1}"`},
		{"--json|{}|-H|Accept: a/b|/", `POST 127.0.0.1/ [Accept: a/b] [Content-Type: application/json] "{}"`},
		{"-d|x|-H|Transfer-Encoding: chunked|/", `POST 127.0.0.1/ ` + form + ` "x"`},
		{"-d||-H|Transfer-Encoding: chunked|/", `POST 127.0.0.1/ ` + form + ` ""`},
		{"-G|-d|a=b c|-d|d|/x", "GET 127.0.0.1/x?a=b%20c&d"},
		{"-G|-d|a|/x?b", "GET 127.0.0.1/x?b&a"},
		{"-G|-d|a|/x?", "GET 127.0.0.1/x?a"},
		{"-G|/x", "GET 127.0.0.1/x"},
	} {
		got := s.getWith("from stdin", strings.Split(test.args, "|")...)
		if got.code != 0 || got.log != "" || test.args != "-I|/a" && got.out != test.want {
			t.Errorf("%s\n got %d %s%s\nwant %s", test.args, got.code, got.log, got.out, test.want)
		}
	}
}

func TestGetOutput(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/missing":
			http.Error(w, "nothing here", http.StatusNotFound)
		case "/binary":
			w.Write([]byte{0, 0xff, '\n'})
		case "/moved":
			http.Redirect(w, r, "/a", http.StatusFound)
		case "/long":
			w.Write(make([]byte, 1000))
		default:
			w.Header().Set("X-Method", r.Method)
			w.Header().Set("Content-Type", "text/x")
			io.WriteString(w, "body")
		}
	})
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Type: text/x\r\nX-Method: GET\r\n\r\n"
	for _, test := range []struct {
		args     string
		code     int
		out, log string // log: a part, or nothing
	}{
		{"/", 0, "body", ""},
		{"-i|/", 0, head + "body", ""},
		{"-I|/", 0, strings.Replace(head, "GET", "HEAD", 1), ""},
		{"-G|-I|-d|a|/", 0, strings.Replace(head, "GET", "HEAD", 1), ""},
		{"/binary", 0, "\x00\xff\n", ""},
		{"/missing", 0, "nothing here\n", ""},
		{"-f|/missing", 1, "", "sazukari: https://127.0.0.1/missing: the server responded 404 Not Found\n"},
		{"-fs|/missing", 1, "", ""},
		{"-fsS|/missing", 1, "", "404 Not Found"},
		{"--fail-with-body|/missing", 1, "nothing here\n", "404 Not Found"},
		{"-f|/", 0, "body", ""},
		{"-f|-w|%{http_code}|/missing", 1, "404", "404"},
		{"-v|/", 0, "body", "> GET / HTTP/1.1\n> Host: 127.0.0.1\n> User-Agent: sazukari/unknown\n> Accept: */*\n> \n< HTTP/1.1 200 OK\n"},
		{"-v|/", 0, "body", "the session is resumed; its token is "},
		{`-w|\n%{http_code} %{content_type} %{size_download} %{num_redirects} %{redirect_url} %{url_effective} 5%%\t|/b`, 0,
			"body\n200 text/x 4 0  https://127.0.0.1/b 5%\t", ""},
		{`-w|%{http_code} %{redirect_url}|-o|` + os.DevNull + `|/moved`, 0, "302 https://127.0.0.1/a", ""},
		{"-L|-w| %{http_code} %{num_redirects} %{url_effective}|/moved", 0, "body 200 1 https://127.0.0.1/a", ""},
		{"-o|-|/binary", 0, "\x00\xff\n", ""},
		{"--max-message|200|/", 0, "body", ""},
		{"--max-message|200|/long", 1, "", "--max-message sets the limit here"},
		{"--max-message|20|/", 1, "", "more than --max-message, 20"},
		{"--max-message|20|-d|@" + s.file("server.key") + "|/", 1, "", "server.key makes the request longer than --max-message, 20"},
		{"-d|@" + s.file("nowhere") + "|/", 1, "", "no such file"},
		{"-m|30.5|/", 0, "body", ""},
	} {
		got := s.get(strings.Split(test.args, "|")...)
		if got.code != test.code || got.out != test.out || !strings.Contains(got.log, test.log) || test.log == "" && got.log != "" {
			t.Errorf("%s\n got %d %q %q\nwant %d %q %q", test.args, got.code, got.out, got.log, test.code, test.out, test.log)
		}
	}
}

func TestGetToFile(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			w.WriteHeader(http.StatusTeapot)
		}
		io.WriteString(w, "body")
	})
	path := filepath.Join(t.TempDir(), "out")
	read := func() string { data, _ := os.ReadFile(path); return string(data) }
	if got := s.get("-o", path, "/"); got.code != 0 || got.out != "" || read() != "body" {
		t.Errorf("%v, and the file has %q", got, read())
	}
	if err := os.WriteFile(path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := s.get("-f", "-o", path, "/teapot"); got.code != 1 || read() != "kept" {
		t.Errorf("%v, and the file has %q", got, read())
	}
	if got := s.get("-i", "-o", path, "/"); got.code != 0 || !strings.HasPrefix(read(), "HTTP/1.1 200 OK\r\n") {
		t.Errorf("%v, and the file has %q", got, read())
	}
	if got := s.get("-o", filepath.Dir(path), "/"); got.code != 1 || !strings.Contains(got.log, "directory") {
		t.Errorf("%v", got)
	}
	if _, err := os.Stat("/dev/full"); err == nil {
		if got := s.get("-o", "/dev/full", "/"); got.code != 1 || !strings.Contains(got.log, "no space left") {
			t.Errorf("%v", got)
		}
		if _, err := os.Stat("/dev/full"); err != nil {
			t.Error(err)
		}
	}
}

func TestRedirects(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "127.0.0.1" || r.Host == "first" || strings.HasPrefix(r.URL.Path, "/hop") {
			to := r.URL.Query().Get("to")
			switch status := r.URL.Path; status {
			case "/loop":
				w.Header().Set("Location", "/loop")
				w.WriteHeader(http.StatusFound)
				return
			case "/301", "/302", "/303", "/307", "/308", "/300":
				w.Header().Set("Location", to)
				w.WriteHeader(int(status[1]-'0')*100 + int(status[3]-'0'))
				return
			}
		}
		io.WriteString(w, describe(r))
	})
	const form = " [Content-Type: application/x-www-form-urlencoded]"
	for _, test := range []struct{ args, want, log string }{
		{"-L|/302?to=/a", "GET 127.0.0.1/a", ""},
		{"/302?to=/a", "", ""},
		{"-L|/302?to=", "", ""},
		{"-L|/300?to=/a", "", ""},
		{"-L|/302?to=b", "GET 127.0.0.1/b", ""},
		{"-L|/302?to=./c/../d", "GET 127.0.0.1/d", ""},
		{"-L|/302?to=%2Fa%20b%3Fc%23d", "GET 127.0.0.1/a%20b?c", ""},
		{"-L|/302?to=/303%3Fto=/307%3Fto=/e", "GET 127.0.0.1/e", ""},

		// Methods.
		{"-L|-d|x|/301?to=/a", "GET 127.0.0.1/a", ""},
		{"-L|-d|x|/302?to=/a", "GET 127.0.0.1/a", ""},
		{"-L|-d|x|-H|Content-Type: a/b|-H|X-A: b|/303?to=/a", "GET 127.0.0.1/a [X-A: b]", ""},
		{"-L|-d|x|/307?to=/a", "POST 127.0.0.1/a" + form + ` "x"`, ""},
		{"-L|-d|x|/308?to=/a", "POST 127.0.0.1/a" + form + ` "x"`, ""},
		{"-L|-X|PUT|-d|x|/302?to=/a", "PUT 127.0.0.1/a" + form + ` "x"`, ""},
		{"-L|-X|PUT|-d|x|/303?to=/a", "GET 127.0.0.1/a", ""},
		{"-L|-X|DELETE|/302?to=/a", "DELETE 127.0.0.1/a", ""},

		// Other hosts.
		{"-L|-u|me:pw|-b|a=b|-H|X-A: b|/302?to=/a", "GET 127.0.0.1/a [Authorization: Basic bWU6cHc=] [Cookie: a=b] [X-A: b]", ""},
		{"-L|-u|me:pw|-b|a=b|-H|X-A: b|/302?to=http://other/a", "GET other/a [X-A: b]", "a redirect leads to the host other; the request goes to the same Megaki server"},
		{"-L|-s|-u|me:pw|/302?to=//other/a", "GET other/a", ""},
		{"-L|-H|authorization: x|-H|COOKIE: y|-H|Proxy-Authorization: z|/302?to=http://127.0.0.1:81/", "GET 127.0.0.1:81/", "note"},
		{"-L|http://me:pw@first/302?to=https://first/b", "GET first/b [Authorization: Basic bWU6cHc=]", ""},
		{"-L|/302?to=http://me:pw@127.0.0.1/a", "GET 127.0.0.1/a", ""},
		{"-L|-H|Host: first|-u|me:pw|/302?to=https://first/a", "GET first/a [Authorization: Basic bWU6cHc=]", ""},
		{"-L|-H|Host: first|/302?to=/a", "GET first/a", ""},
		{"-L|-H|Host: first|/302?to=https://other/a", "GET other/a", "note"},
		{"-L|-d|x|-u|me:pw|/307?to=http://other/a", "POST other/a" + form + ` "x"`, "note"},
	} {
		got := s.get(strings.Split(test.args, "|")...)
		if got.code != 0 || got.out != test.want || !strings.Contains(got.log, test.log) || test.log == "" && got.log != "" {
			t.Errorf("%s\n got %d %s%q\nwant %s", test.args, got.code, got.log, got.out, test.want)
		}
	}
	for _, test := range []struct{ args, log string }{
		{"-L|/loop", `more than 10 redirects; the last one leads to "/loop"`},
		{"-L|--max-redirs|0|/loop", "more than 0 redirects"},
		{"-L|/302?to=ftp://a/", "want the scheme http or https"},
		{"-L|/302?to=mailto:a", "want the scheme http or https"},
		{"-L|/302?to=http://", "it has no host"},
	} {
		if got := s.get(strings.Split(test.args, "|")...); got.code != 1 || got.out != "" || !strings.Contains(got.log, test.log) {
			t.Errorf("%s: %v", test.args, got)
		}
	}
	got := s.get("-L", "-i", "/302?to=/303%3Fto=/a")
	if n := strings.Count(got.out, "HTTP/1.1 "); n != 3 || !strings.HasSuffix(got.out, "\r\n\r\nGET 127.0.0.1/a") {
		t.Errorf("%d heads: %s", n, got.out)
	}
}

// TestServerThatFails checks the messages of the most frequent failures.
func TestServerThatFails(t *testing.T) {
	s := raw(t, func([]byte) ([]byte, error) { return nil, errGone })
	for _, args := range [][]string{{"/"}, {"-i", "/"}} {
		if got := s.get(args...); got.code != 1 || got.out != "" || !strings.Contains(got.log, "the server closed the connection without a whole response") {
			t.Errorf("%v", got)
		}
	}
	s = raw(t, func([]byte) ([]byte, error) { return []byte("hello"), nil })
	if got := s.get("/"); got.code != 1 || got.out != "" || !strings.Contains(got.log, `it begins with "hello"; 'sazukari send' is for other messages`) {
		t.Errorf("%v", got)
	}
	release := make(chan struct{})
	s = raw(t, func([]byte) ([]byte, error) { <-release; return nil, errGone })
	got := s.get("--timeout", "500ms", "/")
	close(release)
	if got.code != 1 || !strings.Contains(got.log, "took longer than --timeout, 500ms") {
		t.Errorf("%v", got)
	}
}

func TestSend(t *testing.T) {
	s := raw(t, func(msg []byte) ([]byte, error) { return msg, nil })
	flags := []string{"send", "--server", s.address, "-k", s.file("server.key.pub"), "--session", s.file("session")}
	if got := command("", append(flags, "hello")...); got != (result{out: "hello"}) {
		t.Errorf("%v", got)
	}
	if got := command("from\x00stdin", flags...); got != (result{out: "from\x00stdin"}) {
		t.Errorf("%v", got)
	}
	if got := command("", flags...); got.code != 1 || !strings.Contains(got.log, "standard input is empty") {
		t.Errorf("%v", got)
	}
}

func TestUsage(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request") })
	for _, test := range []struct{ args, log string }{
		{"get", "get takes one URL, got 0"},
		{"get|/a|/b", "get takes one URL, got 2"},
		{"get|-k|/", "unknown shorthand flag"},
		{"get|ftp://a/", "want the scheme http or https"},
		{"get|http:///a", "it has no host"},
		{"get|a:b/c", `the port is "b"`},
		{"get|http://b\u00fccher.example/", "xn--"},
		{"get|/a\nb", "control characters"},
		{"get|-X|A B|/", "want a method"},
		{"get|-H|a|/", "want 'Name: value'"},
		{"get|-H|a b: c|/", "want a name of letters"},
		{"get|-H|: c|/", "want a name of letters"},
		{"get|-H|a: b\r\nc: d|/", "want a value without control characters"},
		{"get|-A|a\nb|/", "-A: want no control characters"},
		{"get|-u|me|/", "want name:password"},
		{"get|-b|jar.txt|/", "cookies are not read from files"},
		{"get|-F|a=b|-d|c|/", "-F is a form of its own"},
		{"get|-F|a=b|-G|/", "-F is a form of its own"},
		{"get|-I|-d|a|/", "-I has no body"},
		{"get|-F|a|/", "NAME=TEXT"},
		{"get|-F|a=b;c=d|/", `unknown option "c"`},
		{"get|-m|x|/", "--max-time"},
		{"get|-m|0|/", "--max-time"},
		{"get|-m|NaN|/", "--max-time"},
		{"get|--timeout|0s|/", "--timeout"},
		{"get|--max-redirs|-1|/", "--max-redirs"},
		{"get|--max-message|0|/", "--max-message 0: want 1"},
		{"send|", "the message is empty"},
		{"send|a|b", "accepts at most 1"},
		{"bench|--mode|foo", `--mode "foo": want message, handshake or resume`},
		{"bench|--size|0", "--size 0: want 1"},
		{"bench|--size|9|--max-message|8", "--size 9: want 1 to --max-message, 8"},
		{"bench|-c|0", "--clients must be at least 1"},
		{"bench|-d|0s", "--duration more than 0"},
	} {
		args := strings.Split(test.args, "|")
		args = append(args[:1:1], append([]string{"--server", s.address, "--key", s.file("server.key.pub")}, args[1:]...)...)
		got := command("", args...)
		if got.code != 2 || got.out != "" || !strings.Contains(got.log, test.log) || !strings.HasSuffix(got.log, "See 'sazukari "+args[0]+" --help'.\n") {
			t.Errorf("%s: %d %s", test.args, got.code, got.log)
		}
	}
	if got := command("", "get", "/"); got.code != 2 || !strings.Contains(got.log, `required flag(s) "key", "server" not set`) {
		t.Errorf("%v", got)
	}
	if got := command("", "get", "--server", s.address, "--key", s.file("nowhere"), "/"); got.code != 1 || !strings.Contains(got.log, "no such file") {
		t.Errorf("%v", got)
	}
}

func TestIsTerminal(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isTerminal(null) {
		t.Error("the null device is taken for a terminal")
	}
	if !isBinary([]byte("a\x00")) || isBinary([]byte("a\xff\n")) {
		t.Error("what is binary")
	}
}
