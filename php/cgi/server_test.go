package cgi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"mkd/php/internal/process"
)

// load sends n requests from a number of clients, and returns how many requests
// each process served, and the errors.
func (s *site) load(t testing.TB, clients, n int) (served map[int]int, failures []error) {
	t.Helper()
	served = make(map[int]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range n / clients {
				pid, _, _, err := s.send(request(t, ""))
				mu.Lock()
				if err != nil {
					failures = append(failures, err)
				} else {
					served[pid]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return served, failures
}

func TestRequests(t *testing.T) {
	s := startSite(t, Options{Workers: 4, MaxRequests: -1})
	s.full(t)
	served, failures := s.load(t, 8, 1000)
	if len(failures) > 0 {
		t.Fatalf("%d failures, as in %v", len(failures), failures[0])
	}
	if st := s.Status(); st.Started != 4 || st.Crashes != 0 {
		t.Errorf("Status: %+v", st)
	}
	for pid := range served {
		if !slices.Contains(s.pids(), pid) {
			t.Errorf("process %d served, and isn't in %v", pid, s.pids())
		}
	}
}

func TestWebApplication(t *testing.T) {
	s := startSite(t, Options{Workers: 1})
	r := request(t, "headers")
	r.Header.Set("Cookie", "had=salt")
	_, resp, rest, err := s.send(r)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 201 || resp.Header.Get("X-Kit") != "yes" || !strings.HasPrefix(resp.Header.Get("Set-Cookie"), "flavour=sweet; path=/") {
		t.Errorf("status %d, header %v", resp.StatusCode, resp.Header)
	}
	if rest != "GET salt 192.0.2.7" {
		t.Errorf("body: %q", rest)
	}
}

func TestUpload(t *testing.T) {
	s := startSite(t, Options{Workers: 1, Ini: map[string]string{"upload_max_filesize": "8M", "post_max_size": "9M"}})
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	form.WriteField("note", "ünïcode")
	part, _ := form.CreateFormFile("f", "a.bin")
	part.Write(content)
	form.Close()
	to := filepath.Join(s.dir, "moved")
	r := request(t, "upload&to="+url.QueryEscape(to))
	r.Method, r.Body, r.ContentLength = "POST", nopCloser{&body}, int64(body.Len())
	r.Header.Set("Content-Type", form.FormDataContentType())
	_, _, rest, err := s.send(r)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf(`[true,"a.bin",%d,"\u00fcn\u00efcode"]`, len(content)); rest != want {
		t.Errorf("got %s, want %s", rest, want)
	}
	if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the file has %d bytes, error %v", len(got), err)
	}
}

type nopCloser struct{ *bytes.Buffer }

func (nopCloser) Close() error { return nil }

func TestEnvironment(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "@nobody") // the daemon's alone
	t.Setenv("PHP_FCGI_CHILDREN", "7")   // would have php-cgi fork
	t.Setenv("FCGI_WEB_SERVER_ADDRS", "192.0.2.99")
	dir := openDir(t, 0o755)
	s := startSite(t, Options{Workers: 1, Dir: dir, Env: map[string]string{"KIT": "a=b c"}, Ini: map[string]string{"memory_limit": "77M"}})
	var got []any
	s.list(t, "environment", &got)
	if got[0] != "a=b c" || got[1] != "77M" || got[2] != false {
		t.Errorf("got %v", got)
	}
	if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", s.pids()[0])); err != nil || cwd != s.dir && cwd != dir {
		t.Errorf("working directory %q, %v", cwd, err)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", s.pids()[0]))
	if err != nil || len(children) > 0 {
		t.Errorf("children %q, %v", children, err)
	}
}

// TestDescriptors: a process has its socket, its output and what it opened, but
// no descriptor of the daemon.
func TestDescriptors(t *testing.T) {
	mine, err := os.Create(filepath.Join(t.TempDir(), "daemons-own"))
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	s := startSite(t, Options{Workers: 1})
	var open map[string]string
	s.list(t, "descriptors", &open)
	if !strings.HasPrefix(open["0"], "socket:") || !strings.HasPrefix(open["1"], "pipe:") || open["1"] != open["2"] {
		t.Errorf("standard descriptors: %v", open)
	}
	sockets := 0
	for fd, to := range open {
		switch {
		case strings.HasPrefix(to, "socket:"):
			sockets++
		case fd <= "2" || to == filepath.Join(s.dir, "kit.php") || strings.HasPrefix(to, "/proc/") || strings.Contains(to, "ZendSem") || strings.HasPrefix(to, "/memfd:opcache_lock"):
		default:
			t.Errorf("descriptor %s: %s", fd, to)
		}
	}
	if sockets != 2 {
		t.Errorf("%d sockets, want the listener and the connection: %v", sockets, open)
	}
}

// TestSandbox: a process has no capabilities and can't gain any, as root and as
// another user; without the option it can.
func TestSandbox(t *testing.T) {
	users := []string{""}
	if os.Geteuid() == 0 {
		users = append(users, "www-data")
	}
	for _, user := range users {
		for _, sandbox := range []bool{false, true} {
			s := startSite(t, Options{Workers: 1, User: user, Sandbox: sandbox})
			var got []any
			s.list(t, "status", &got)
			status := got[0].(string)
			has := func(line string) bool { return strings.Contains(status, line+"\n") }
			if has("NoNewPrivs:\t1") != sandbox || os.Geteuid() == 0 && has("CapBnd:\t0000000000000000") != sandbox ||
				sandbox && !has("CapEff:\t0000000000000000") {
				t.Errorf("user %q, sandbox %v:\n%s", user, sandbox, status)
			}
		}
	}
}

// TestClearEnv: a process gets PATH, and nothing else that this process has.
func TestClearEnv(t *testing.T) {
	t.Setenv("DATABASE_PASSWORD", "secret")
	s := startSite(t, Options{Workers: 1, ClearEnv: true, Env: map[string]string{"APP": "a"}})
	var got []any
	s.list(t, "status", &got)
	env := got[1].(map[string]any)
	if _, found := env["DATABASE_PASSWORD"]; found || env["PATH"] != os.Getenv("PATH") || env["APP"] != "a" {
		t.Errorf("environment %v", env)
	}
}

// TestUmaskOfTheDaemon: the socket can be reached with any umask.
func TestUmaskOfTheDaemon(t *testing.T) {
	before := syscall.Umask(0o777)
	defer syscall.Umask(before)
	path, err := newSocketPath(openDir(t, 0o755))
	if err != nil {
		t.Fatal(err)
	}
	f, err := listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, want := range map[string]os.FileMode{filepath.Dir(path): 0o700, path: 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, want %v; error %v", name, info.Mode(), want, err)
		}
	}
}

func TestOutputIsLogged(t *testing.T) {
	s := startSite(t, Options{Workers: 1})
	pid, _ := s.get(t, "print&text="+url.QueryEscape("one line\nforged level=ERROR\n"+strings.Repeat("x", 3*process.MaxLine)))
	for _, want := range []string{
		fmt.Sprintf("msg=php-cgi worker=%d text=\"one line\"\n", pid),
		fmt.Sprintf("msg=php-cgi worker=%d text=\"forged level=ERROR\"\n", pid),
		strings.Repeat("x", process.MaxLine) + "\n",
	} {
		eventually(t, "the log has "+want[:min(len(want), 60)], func() bool { return strings.Contains(s.logs.String(), want) })
	}
}

// TestScriptErrorIsTheClients: what PHP reports during a request belongs to the
// request, and comes over its connection.
func TestScriptErrorIsTheClients(t *testing.T) {
	s := startSite(t, Options{Workers: 1, Ini: map[string]string{"log_errors": "1", "display_errors": "0", "error_log": ""}})
	var lines []string
	s.stderr = stderrTo(&lines)
	_, resp, _, _ := s.send(request(t, "fatal"))
	if resp == nil || resp.StatusCode != 500 || !strings.Contains(strings.Join(lines, "\n"), "kit_has_no_such_function") {
		t.Errorf("answer %v, standard error %q", resp, lines)
	}
	if pid, _ := s.get(t, ""); pid != s.pids()[0] || s.Status().Started != 1 {
		t.Errorf("a fatal error of a script ended the process")
	}
}

func TestUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can change the user")
	}
	www, err := user.Lookup("www-data")
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(openDir(t, 0o755), "server.key")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ user, group, uid, gid string }{
		{"www-data", "", www.Uid, www.Gid},
		{"www-data", "nogroup", www.Uid, "65534"},
		{"", "nogroup", "0", "65534"},
	} {
		t.Run(c.user+":"+c.group, func(t *testing.T) {
			s := startSite(t, Options{Workers: 1, User: c.user, Group: c.group})
			var got []any
			s.list(t, "identity&file="+url.QueryEscape(secret)+"&socket="+url.QueryEscape(s.Address()), &got)
			uid, gid, groups := fmt.Sprint(got[0]), fmt.Sprint(got[1]), fmt.Sprint(got[2])
			if uid != c.uid || gid != c.gid {
				t.Errorf("uid %s, gid %s; want %s, %s", uid, gid, c.uid, c.gid)
			}
			if mine, _ := os.Getgroups(); c.gid != "0" && slices.Contains(mine, 0) && strings.Contains(" "+strings.Trim(groups, "[]")+" ", " 0 ") {
				t.Errorf("it has this process's groups: %s", groups)
			}
			if c.user != "" && (got[3] != false || got[4] != false) {
				t.Errorf("it can read a key (%v), or connect to the socket (%v)", got[3], got[4])
			}
		})
	}
}

func TestSocketFolder(t *testing.T) {
	s := startSite(t, Options{Workers: 1})
	info, err := os.Stat(filepath.Dir(s.Address()))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestStatus(t *testing.T) {
	s := startSite(t, Options{Workers: 2})
	s.full(t)
	_, release1, done1 := s.hold(t, t.Context(), "hold")
	_, release2, done2 := s.hold(t, t.Context(), "hold")
	waiting := make(chan error, 1)
	r := request(t, "")
	go func() {
		_, _, _, err := s.send(r)
		waiting <- err
	}()
	eventually(t, "two busy, one queued", func() bool {
		st := s.Status()
		return st.Busy == 2 && st.Queued == 1
	})
	release1()
	release2()
	for _, done := range []<-chan error{done1, done2, waiting} {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	eventually(t, "none busy", func() bool { return s.Status().Busy == 0 })
	if text, err := json.Marshal(s.Status()); err != nil || !strings.Contains(string(text), `"Started":2`) {
		t.Errorf("%s, %v", text, err)
	}
}
