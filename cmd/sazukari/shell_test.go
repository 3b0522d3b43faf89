package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func (s *site) shell(stdin string, args ...string) result {
	return command(stdin, append([]string{"shell", "--server", s.address, "--key", s.file("server.key.pub")}, args...)...)
}

func TestShell(t *testing.T) {
	s := raw(t, func(msg []byte) ([]byte, error) {
		if string(msg) == "fail" {
			return nil, errGone
		}
		return fmt.Appendf(nil, "<%s>", msg), nil
	})
	dir := t.TempDir()
	file, session := filepath.Join(dir, "file"), filepath.Join(dir, "session")
	if err := os.WriteFile(file, []byte("from\na file"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := s.shell("hello\n\n\\\\help\n\\file "+file+"\n\\close\nagain\n\\session\n", "--session", session)
	token := regexp.MustCompile(`(?m)^[0-9a-f]{32}\n`).FindString(got.out)
	if want := "<hello>\n<\\help>\n<from\na file>\n<again>\n" + token; got.code != 0 || got.out != want || token == "" {
		t.Errorf("%+v, want %q", got, want)
	}
	if !regexp.MustCompile(`^\[7 bytes, \S+s, a new session in \S+s\]\n\[7 bytes, \S+s\]\n\[13 bytes, \S+s\]\n\[7 bytes, \S+s, the session is resumed in \S+s\]\n$`).MatchString(got.log) {
		t.Errorf("log %q", got.log)
	}

	// A failure ends neither the shell nor the session.
	got = s.shell("fail\nhello\n\\quit\nnever\n", "--session", session)
	if got.code != 1 || got.out != "<hello>\n" || !strings.Contains(got.log, "without a whole response") || strings.Count(got.log, "the session is resumed") != 1 {
		t.Errorf("%+v", got)
	}
	for in, want := range map[string]string{
		"\\nonsense\n":              `\nonsense: no such command`,
		"\\file\n":                  `\file: no such command, or its argument is missing`,
		"\\file nowhere\n":          "nowhere: no such file",
		"\\session\n":               "there is no session yet",
		"\\get ftp://x/\n":          "want the scheme http or https",
		strings.Repeat("a", 101):    "message of 101 bytes is over the limit of 100",
		strings.Repeat("a", 103):    "a line is longer than --max-message, 100 bytes",
		strings.Repeat("a", 100000): "a line is longer than --max-message, 100 bytes",
	} {
		if got := s.shell(in, "--max-message", "100"); got.code != 1 || !strings.Contains(got.log, want) {
			t.Errorf("%.20s: %+v", in, got)
		}
	}
	if got := s.shell("\\help\n"); got.code != 0 || !strings.Contains(got.log, `\get URL`) {
		t.Errorf("%+v", got)
	}
}

// TestShellGets sends HTTP requests.
func TestShellGets(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s %s", r.Host, r.RequestURI) })
	got := s.shell("\\get example.org/a b?c\n\\get /d\n")
	for _, want := range []string{"HTTP/1.1 200 OK\r\n", "\r\n\r\nexample.org /a%20b?c\n", "\r\n\r\n127.0.0.1 /d\n"} {
		if got.code != 0 || !strings.Contains(got.out, want) {
			t.Errorf("%+v, want %q", got, want)
		}
	}
}

// TestPrintable: a response can't drive the terminal.
func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"":               "",
		"a":              "a\n",
		"a\tb\r\nc\n":    "a\tb\r\nc\n",
		"grüße":          "grüße\n",
		"\x1b[2J":        "00000000  1b 5b 32 4a                                       |.[2J|\n",
		"a\rb":           "00000000  61 0d 62                                          |a.b|\n",
		"\u009b2J":       "00000000  c2 9b 32 4a                                       |..2J|\n",
		"\xff":           "00000000  ff                                                |.|\n",
		"\x00 and 1 \n1": "00000000  00 20 61 6e 64 20 31 20  0a 31                    |. and 1 .1|\n",
	} {
		if got := printable([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := printable(make([]byte, shown+5)); !strings.HasSuffix(got, "|\nand 5 bytes more\n") {
		t.Errorf("%q", got)
	}
}
