//go:build long

package cmd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestLongTop runs mkd top in tmux, as on a terminal of 100 columns and 40 lines: its
// data appears and changes, keys sort the workers, and q gives the screen back.
func TestLongTop(t *testing.T) {
	w := startWatched(t)
	w.browse(t)
	socket := filepath.Join(t.TempDir(), "tmux")
	tmux := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("tmux", append([]string{"-S", socket, "-f", "/dev/null"}, args...)...)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TERM=xterm-256color")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %s: %v\n%s", args, err, out)
		}
		return string(out)
	}
	tmux("-u", "new-session", "-d", "-x", "100", "-y", "40", "sh")
	t.Cleanup(func() { exec.Command("tmux", "-S", socket, "kill-server").Run() })
	screen := func() string { return tmux("capture-pane", "-p") }
	await := func(what string, ok func(screen string) bool) string {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
			s := screen()
			if ok(s) {
				return s
			}
			if time.Now().After(deadline) {
				t.Fatalf("timed out waiting: %s\n%s", what, s)
			}
		}
	}
	tmux("send-keys", w.mkd+" top --admin unix:"+filepath.Join(w.dir, "admin.sock"), "Enter")
	first := await("the state", func(s string) bool { return strings.Contains(s, "is ready: up") && strings.Contains(s, "requests/s") })
	await("another second", func(s string) bool { return s != first && strings.ContainsAny(s, "▁▂▃▄▅▆▇█") })
	await("the hanging worker comes first", func(s string) bool {
		pids := workerLines(s)
		return len(pids) == 4 && strings.Contains(pids[0], "hanging") && strings.Contains(pids[0], "GET /cart/checkout")
	})
	tmux("send-keys", "r")
	await("the workers sorted by requests", func(s string) bool {
		lines := workerLines(s)
		return strings.Contains(s, "(now: requests)") && len(lines) == 4 && requestsOf(lines[0]) >= requestsOf(lines[1]) && requestsOf(lines[2]) >= requestsOf(lines[3]) && strings.Contains(lines[3], "hanging")
	})
	tmux("resize-window", "-x", "40", "-y", "12")
	await("a smaller screen", func(s string) bool { return strings.Contains(s, "lines more") })
	tmux("send-keys", "q")
	await("the shell's screen", func(string) bool { return tmux("display-message", "-p", "#{alternate_on}") == "0\n" })
}

// workerLines returns the lines of workers on a screen.
func workerLines(screen string) (lines []string) {
	within := false
	for line := range strings.SplitSeq(screen, "\n") {
		switch {
		case strings.HasPrefix(line, "  PID"):
			within = true
		case !strings.HasPrefix(line, "  "):
			within = false
		case within:
			lines = append(lines, line)
		}
	}
	return lines
}

// requestsOf returns the requests in a worker's line: PID, state, for, age, requests.
func requestsOf(line string) int {
	f := strings.Fields(line) // a duration is two of them
	if len(f) < 7 {
		return -1
	}
	n, _ := strconv.Atoi(f[6])
	return n
}
