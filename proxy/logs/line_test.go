package logs

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

type token string

func (t token) AppendText(to []byte) ([]byte, error) { return append(to, t...), nil }

func full() *Request {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678900000, time.UTC)
	return &Request{
		Listener: "app", Client: client, Session: token("0a0b"), Payload: "http",
		Method: "GET", Host: "example.org", Path: "/a", Proto: "HTTP/1.1",
		Agent: "curl/8", Referer: "https://example.org/b?token=1#c", ID: "id1",
		Route: "main", Backend: "site", Upstream: "127.0.0.1:9000", Worker: 77,
		Status: 502, In: 1, Out: 22, Started: at, Err: errors.New("no"), Failed: true,
	}
}

// TestLineFormats has a line of each format.
func TestLineFormats(t *testing.T) {
	r := full()
	now := r.Started.Add(1234567 * time.Nanosecond)
	for _, c := range []struct {
		format   string
		terminal bool
		want     string
	}{
		{"json", false, `{"level":"warn","time":"2026-01-02T03:04:05.680134567Z","msg":"request","listener":"app","client":"192.0.2.1:50000","session":"0a0b","payload":"http",` +
			`"method":"GET","host":"example.org","path":"/a","route":"main","backend":"site","upstream":"127.0.0.1:9000","worker":77,"status":502,"in":1,"out":22,"took_ms":1.234,` +
			`"user_agent":"curl/8","referer":"https://example.org/b","request_id":"id1","error":"no"}`},
		{"console", false, "03:04:05.680\tWARN\trequest\t" + `{"listener": "app", "client": "192.0.2.1:50000", "session": "0a0b", "payload": "http", ` +
			`"method": "GET", "host": "example.org", "path": "/a", "route": "main", "backend": "site", "upstream": "127.0.0.1:9000", "worker": 77, "status": 502, "in": 1, "out": 22, "took_ms": 1.234, ` +
			`"user_agent": "curl/8", "referer": "https://example.org/b", "request_id": "id1", "error": "no"}`},
		{"combined", false, `192.0.2.1 - - [02/Jan/2026:03:04:05 +0000] "GET /a HTTP/1.1" 502 22 "https://example.org/b" "curl/8"`},
		{"common", false, `192.0.2.1 - - [02/Jan/2026:03:04:05 +0000] "GET /a HTTP/1.1" 502 22`},
	} {
		have := string(newLineFormat(c.format, c.terminal).write(nil, r, now))
		if have != c.want+"\n" {
			t.Errorf("%s: have %s\nwant %s", c.format, have, c.want)
		}
	}
	raw := &Request{Client: client, Status: 200, Started: r.Started}
	if have := string(newLineFormat("combined", false).write(nil, raw, now)); have != "192.0.2.1 - - [02/Jan/2026:03:04:05 +0000] \"-\" 200 0 \"-\" \"-\"\n" {
		t.Errorf("raw message: %s", have)
	}
	if have := string(newLineFormat("console", true).write(nil, raw, now)); !strings.Contains(have, "\t\x1b[34mINFO\x1b[0m\trequest\t") {
		t.Errorf("terminal: %q", have)
	}
}

// TestWants: a format that hasn't a field doesn't ask for it.
func TestWants(t *testing.T) {
	for _, c := range []struct {
		format            string
		access, failed    bool
		wantAgent, wantID bool
	}{
		{"json", true, false, true, true},
		{"combined", true, false, true, false},
		{"common", true, false, false, false},
		{"common", true, true, true, true},
		{"json", false, false, false, false},
		{"json", false, true, true, true},
	} {
		l := open(t, &output{}, Options{Access: c.access, AccessFormat: c.format})
		if line, agent, id := l.Wants(c.failed); line != (c.access || c.failed) || agent != c.wantAgent || id != c.wantID {
			t.Errorf("%+v: %v, %v, %v", c, line, agent, id)
		}
	}
}

// TestFailureInCombined: the error of a request that failed, such as a script's
// exception, is in a line of its own if the line of the request has no room for it.
func TestFailureInCombined(t *testing.T) {
	for format, want := range map[string]int{"combined": 3, "common": 3, "json": 2, "console": 2} {
		var out output
		l := open(t, &out, Options{Access: true, Format: "json", AccessFormat: format})
		good := full()
		good.Failed, good.Err, good.Status = false, nil, 200
		l.Access(good)
		l.Access(full())
		l.Close()
		lines := out.lines()
		if n := len(lines); n != want {
			t.Errorf("%s: %d lines, want %d: %q", format, n, want, lines)
		}
		if last := lines[len(lines)-1]; !strings.Contains(last, `"request_id":`) || !strings.Contains(strings.ReplaceAll(last, `": "`, `":"`), `"error":"no"`) {
			t.Errorf("%s: the last line is %s", format, last)
		}
	}
}

// TestHostileText: what a client sends can't end a field or a line.
func TestHostileText(t *testing.T) {
	for in, want := range map[string][2]string{
		`a"b\c`:        {`a\"b\\c`, `a\x22b\x5Cc`},
		"a\nb\r\tc":    {`a\nb\r\tc`, `a\x0Ab\x0D\x09c`},
		"\x00\x7f\x1b": {`\u0000\u007f\u001b`, `\x00\x7F\x1B`},
		"ä€😀":          {"ä€😀", "ä€😀"},
		"\u202e\u0085": {`\u202e\u0085`, `\xE2\x80\xAE\xC2\x85`},
		"a\xffb":       {`a\ufffdb`, `a\xFFb`},
		"":             {"", ""},
	} {
		if have := string(appendText(nil, in, true)); have != want[0] {
			t.Errorf("%q: JSON %s, want %s", in, have, want[0])
		}
		if have := string(appendText(nil, in, false)); have != want[1] {
			t.Errorf("%q: %s, want %s", in, have, want[1])
		}
	}
}

// TestPathInCommon: a path is one field of the request line, as nginx writes it.
func TestPathInCommon(t *testing.T) {
	for path, want := range map[string]string{
		"/a b":                        "/a%20b",
		"/a HTTP/1.1 200 1":           "/a%20HTTP/1.1%20200%201",
		"/%2F%25;a=1,b:@!$&'()*+-._~": "/%2F%25;a=1,b:@!$&'()*+-._~",
		"/\"\\?#[]\x00\n\x7f\xff":     "/%22%5C%3F%23%5B%5D%00%0A%7F%FF",
		"/ä\u202e":                    "/%C3%A4%E2%80%AE",
		"*":                           "*",
		"":                            "-", // what came was no request
	} {
		r := full()
		r.Path = path
		for _, format := range []string{"common", "combined"} {
			if have := string(newLineFormat(format, false).write(nil, r, r.Started)); !strings.Contains(have, `] "GET `+want+` HTTP/1.1" 502 `) {
				t.Errorf("%s: %q: %s", format, path, have)
			}
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add("/a", "curl", "http://x/?y", "")
	f.Add("\"\\\n\x00", "\u202e", "\xff\xfe", "\x7f")
	f.Add(strings.Repeat("ä", 1000), strings.Repeat("\"", 2000), "#", "a")
	f.Fuzz(func(t *testing.T, path, agent, referer, message string) {
		r := full()
		r.Path, r.Agent, r.Referer, r.Err = path, agent, referer, errors.New(message)
		for _, name := range []string{"json", "console", "combined", "common"} {
			line := newLineFormat(name, false).write(nil, r, r.Started)
			text := string(line)
			if !strings.HasSuffix(text, "\n") || strings.Count(text, "\n") != 1 || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && r < ' ' || unsafe(r) }) {
				t.Fatalf("%s: %q", name, text)
			}
			switch name {
			case "json":
				var fields map[string]any
				if err := json.Unmarshal(line, &fields); err != nil {
					t.Fatalf("%v in %q", err, text)
				}
				if len(path) > 0 && len(path) <= MaxPath && utf8.ValidString(path) && fields["path"] != path {
					t.Fatalf("path %q: %q", path, fields["path"])
				}
			case "combined":
				if strings.Count(text, `"`) != 6 {
					t.Fatalf("quotes in %q", text)
				}
			}
		}
	})
}

func TestFileReopened(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mkd.log")
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	f, err := OpenFile(path, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, f, Options{Format: "json", Access: true})
	l.Main.Info("before")
	awaitFile(t, path, "before")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Main.Info("between")
	awaitFile(t, path+".1", "between")
	if _, err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Main.Info("after")
	awaitFile(t, path, "after")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
	// One that can't be opened leaves the old one in use.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Reopen(); err == nil {
		t.Error("a folder was opened")
	}
	l.Access(full())
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := l.Reopen(); errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// awaitFile waits until a file has a text.
func awaitFile(t *testing.T, path, text string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		data, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(data), text) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s has no %q: %q, %v", path, text, data, err)
		}
	}
}

// TestReopenWhileWriting: no line is lost while the file is renamed and reopened.
func TestReopenWhileWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mkd.log")
	f, err := OpenFile(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	const n = 2000
	go func() {
		var err error
		for range n {
			if _, e := f.Write([]byte("x\n")); e != nil {
				err = e
			}
		}
		done <- err
	}()
	files := []string{path}
	for i := range 50 {
		moved := path + "." + string(rune('0'+i/10)) + string(rune('0'+i%10))
		if err := os.Rename(path, moved); err != nil {
			t.Fatal(err)
		}
		files = append(files, moved)
		if err := f.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	total := 0
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		total += len(data)
	}
	if total != 2*n {
		t.Errorf("%d bytes, want %d", total, 2*n)
	}
}

// TestPipe: a pipe is a log file while somebody reads it, and an error at once otherwise.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	within := func(what string, do func() error) error {
		t.Helper()
		ended := make(chan error, 1)
		go func() { ended <- do() }()
		select {
		case err := <-ended:
			return err
		case <-time.After(10 * time.Second):
			t.Fatalf("%s doesn't return", what)
			return nil
		}
	}
	if err := within("opening", func() error { _, err := OpenFile(path, 0o600); return err }); err == nil || !strings.Contains(err.Error(), "nobody reads") {
		t.Errorf("without a reader: %v", err)
	}
	socket := filepath.Join(t.TempDir(), "socket") // as standard error is under systemd
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := OpenFile(socket, 0o600); err == nil || strings.Contains(err.Error(), "pipe") {
		t.Errorf("a socket: %v", err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write([]byte("a line\n")); err != nil {
		t.Error(err)
	}
	buf := make([]byte, 100)
	if n, err := reader.Read(buf); string(buf[:n]) != "a line\n" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	reader.Close()
	if err := within("reopening", f.Reopen); err == nil {
		t.Error("reopened without a reader")
	}
}
