package php

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// statePool starts a pool of one worker whose script changes the state of its
// process. own is not empty if the script has settings of its own.
func statePool(t *testing.T, own string, ini map[string]string) (*Pool, *logBuffer) {
	return start(t, Options{Script: "testdata/state.php", MinWorkers: 1, MaxWorkers: 1, Ini: ini, Env: map[string]string{"HOME": "/tmp", "OWN": own}})
}

// TestNothingOfARequestStays: a change of the process's state doesn't reach the next
// request, for HTTP requests and raw messages. The worker goes on.
func TestNothingOfARequestStays(t *testing.T) {
	t.Run("of PHP", func(t *testing.T) { nothingStays(t, "", nil) })
	t.Run("of the script", func(t *testing.T) {
		nothingStays(t, "1", map[string]string{"max_execution_time": "77", "open_basedir": "/"})
	})
}

func nothingStays(t *testing.T, own string, ini map[string]string) {
	p, _ := statePool(t, own, ini)
	over := map[string]func(what string) string{
		"on_http": func(what string) string {
			w, err := doHTTP(p, httpCall("GET", "/"+url.PathEscape(what), nil, ""))
			if err != nil {
				return err.Error()
			}
			return w.body.String()
		},
		"on_handle": func(what string) string {
			response, err := do(p, what)
			if err != nil {
				return err.Error()
			}
			return response
		},
	}
	for name, ask := range over {
		pid, want := ask("pid"), ask("state")
		if !strings.HasPrefix(want, "{") {
			t.Fatal(want)
		}
		if first := ask("first"); want != first {
			t.Errorf("%s: not as the script was loaded: %s", name, differences(want, first))
		}
		for _, change := range stateChanges(t) {
			if change == "superglobals" && name == "on_handle" {
				continue // a raw message has none
			}
			if got := ask(change); !strings.HasSuffix(got, "changed") && !strings.Contains(got, "after a change") {
				t.Errorf("%s: %s: %s", name, change, got)
			}
			if got := ask("state"); got != want {
				t.Errorf("%s: after %q: %s", name, change, differences(got, want))
			}
		}
		if got := ask("pid"); got != pid {
			t.Errorf("%s: the worker was replaced", name)
		}
		if seeded, got := ask("seed"), ask("random"); seeded == got {
			t.Errorf("%s: mt_srand(42) is still there", name)
		}
		ask("seed")
		first := ask("random")
		ask("seed")
		if got := ask("random"); got == first {
			t.Errorf("%s: random numbers after mt_srand(42) are the same each time", name)
		}
	}
}

// TestRandomNumbers: requests get other random numbers than those before them, however
// many of them drew none.
func TestRandomNumbers(t *testing.T) {
	p, _ := statePool(t, "", nil)
	seen := map[string]int{}
	for i := range 60 {
		for range i % 40 {
			mustDo(t, p, "pid")
		}
		number := mustDo(t, p, "random")
		if before, ok := seen[number]; ok {
			t.Errorf("requests %d and %d have the same random number", before, i)
		}
		seen[number] = i
	}
}

// differences returns what differs between two states.
func differences(got, want string) string {
	var g, w map[string]any
	if json.Unmarshal([]byte(got), &g) != nil || json.Unmarshal([]byte(want), &w) != nil {
		return got
	}
	var all []string
	for name := range w {
		a, isMap := g[name].(map[string]any)
		b, _ := w[name].(map[string]any)
		if !isMap && asJSON(g[name]) != asJSON(w[name]) {
			all = append(all, fmt.Sprintf("%s is %v, want %v", name, g[name], w[name]))
		}
		for key := range maps.Keys(b) {
			if asJSON(a[key]) != asJSON(b[key]) {
				all = append(all, fmt.Sprintf("%s %s is %v, want %v", name, key, a[key], b[key]))
			}
		}
		if len(a) > len(b) {
			all = append(all, fmt.Sprintf("%s has %d more", name, len(a)-len(b)))
		}
	}
	return strings.Join(all, "; ")
}

// stateChanges are the changes of testdata/state.php that can be put back.
func stateChanges(t *testing.T) (names []string) {
	t.Helper()
	code, err := os.ReadFile("testdata/state.php")
	if err != nil {
		t.Fatal(err)
	}
	list, _, ok := strings.Cut(string(code), "    // What can't be put back.\n")
	if !ok {
		t.Fatal("no list of changes")
	}
	for line := range strings.Lines(list) {
		if name, ok := strings.CutPrefix(line, "    '"); ok {
			name, _, _ = strings.Cut(name, "'")
			names = append(names, name)
		}
	}
	if len(names) < 30 {
		t.Fatalf("only %q", names)
	}
	return names
}

// TestWhatStaysReplacesTheWorker: a change that PHP can't undo ends the worker after
// its request, and the log has the reason.
func TestWhatStaysReplacesTheWorker(t *testing.T) {
	p, log := statePool(t, "", nil)
	want := get(t, p, "/state").body.String()
	for change, text := range map[string]string{
		"stream context": "the request has changed the default stream context: the worker is replaced",
		"notification":   "the request has changed the default stream context: the worker is replaced",
		"endless buffer": "the request has started an output buffer that nobody can end: the worker is replaced",
		"bad buffer":     "an exception in the callback of an output buffer has sent what was printed to the log: the worker is replaced",
		"open_basedir":   "the request has changed open_basedir: the worker is replaced",
	} {
		pid := get(t, p, "/pid").body.String()
		if got := get(t, p, "/"+url.PathEscape(change)).body.String(); got != "changed" {
			t.Errorf("%s: %q", change, got)
		}
		if got := get(t, p, "/state").body.String(); got != want {
			t.Errorf("after %s: %s", change, differences(got, want))
		}
		if get(t, p, "/pid").body.String() == pid {
			t.Errorf("%s: the worker goes on", change)
		}
		log.await(t, text)
		if got := mustDo(t, p, change); got != "changed" {
			t.Errorf("%s: %q", change, got)
		}
	}
}

// TestFolderThatIsGone: a request during which the working directory is removed has its
// response, though its error handler throws. The worker is replaced.
func TestFolderThatIsGone(t *testing.T) {
	dir := t.TempDir()
	p, log := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Dir: dir, Script: script(t, `
		$ARCANGELO_USERSPACE = ['on_handle' => function () {
			set_error_handler(fn ($level, $message) => throw new ErrorException($message));
			rmdir(getcwd());
			return 'removed';
		}];`)})
	if got := mustDo(t, p, ""); got != "removed" {
		t.Errorf("%q", got)
	}
	log.await(t, "the working directory "+dir+" is gone: the worker is replaced")
}

// TestPuttingBackTakesNoMemory: a worker whose requests change everything keeps no
// more memory after many of them.
func TestPuttingBackTakesNoMemory(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: script(t, `
		$ARCANGELO_USERSPACE = ['on_http' => function () {
			$used = memory_get_usage();
			putenv('CHANGED=' . random_int(0, PHP_INT_MAX));
			setlocale(LC_ALL, 'C.UTF-8');
			ini_set('user_agent', random_bytes(8));
			date_default_timezone_set('Asia/Tokyo');
			set_error_handler(fn () => true);
			pcntl_signal(SIGUSR1, fn () => null);
			umask(0);
			chdir('/');
			strtok(random_bytes(8), 'x');
			echo 'printed';
			flush();
			ob_start();
			echo $used;
		}];`)})
	used := func() (n int) {
		fmt.Sscanf(get(t, p, "/").body.String(), "printed%d", &n)
		return n
	}
	for range 20 { // until all is loaded
		used()
	}
	before := used()
	for range 2000 {
		used()
	}
	if after := used(); after > before+4096 {
		t.Errorf("%d bytes, then %d", before, after)
	}
}

// TestHardenedPHP: workers start, and put back what scripts can change, where php.ini
// disables what hardened servers usually disable.
func TestHardenedPHP(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Ini: map[string]string{"disable_functions": "exec,passthru,shell_exec,system,proc_open,popen,dl,phpinfo," +
		"php_uname,symlink,link,chown,chgrp,putenv,umask,set_time_limit,ignore_user_abort,ini_alter,ini_restore,openlog,syslog,posix_kill,posix_setuid," +
		"pcntl_alarm,pcntl_fork,pcntl_waitpid,pcntl_wait,pcntl_wifexited,pcntl_signal,pcntl_signal_dispatch,pcntl_signal_get_handler,pcntl_sigprocmask,pcntl_async_signals,pcntl_exec"},
		Script: script(t, `$ARCANGELO_USERSPACE = ['on_http' => function () {
			$was = [ini_get('max_execution_time'), ini_get('precision'), ini_get('user_agent'), date_default_timezone_get()];
			ini_set('max_execution_time', '5');
			ini_set('precision', '3');
			ini_set('user_agent', 'x');
			date_default_timezone_set('Asia/Tokyo');
			echo getmypid(), ' ';
			flush();
			return json_encode($was);
		}];`)})
	want := get(t, p, "/").body.String()
	if got := get(t, p, "/").body.String(); got != want || !strings.Contains(got, `["0","14","","UTC"]`) {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestFileOfAnotherRequest: what a request has learned of a file isn't believed by
// the next one.
func TestFileOfAnotherRequest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	p, _ := start(t, Options{Script: "testdata/state.php", MinWorkers: 1, MaxWorkers: 1, Env: map[string]string{"FILE": file}})
	for _, content := range []string{"1", "22"} {
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, want := mustDo(t, p, "size"), strconv.Itoa(len(content)); got != want {
			t.Errorf("the size is %s, want %s", got, want)
		}
	}
}

// TestTimeLimitOfAnotherRequest: set_time_limit(1) doesn't end a later request,
// and a limit of the script's own counts for each request anew.
func TestTimeLimitOfAnotherRequest(t *testing.T) {
	code := script(t, `
		function burnt(): float { $u = getrusage(); return $u['ru_utime.tv_sec'] + $u['ru_stime.tv_sec'] + ($u['ru_utime.tv_usec'] + $u['ru_stime.tv_usec']) / 1e6; }
		$ARCANGELO_USERSPACE = ['on_handle' => function () {
			if (arca::$request === 'limit') { set_time_limit(1); }
			for ($end = burnt() + (float) arca::$request; burnt() < $end;) { }
			return (string) getmypid();
		}];`)
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: code})
	if pid := mustDo(t, p, "limit"); mustDo(t, p, "1.2") != pid {
		t.Error("another worker")
	}
	own, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: code, Ini: map[string]string{"max_execution_time": "1"}})
	if pid := mustDo(t, own, "0.6"); mustDo(t, own, "0.6") != pid {
		t.Error("another worker")
	}
	if _, err := do(own, "1.5"); err == nil || !strings.Contains(err.Error(), "Maximum execution time of 1 second exceeded") {
		t.Errorf("beyond the limit: %v", err)
	}
}

// TestAlarmOfTheScript: an alarm that is set with its handler when the script is
// loaded is the script's own, and goes on from request to request.
func TestAlarmOfTheScript(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: script(t, `
		pcntl_signal(SIGALRM, fn () => null);
		pcntl_alarm(1000);
		$ARCANGELO_USERSPACE = ['on_handle' => function () { $left = pcntl_alarm(0); pcntl_alarm($left); return (string) $left; }];`)})
	mustDo(t, p, "")
	if left := mustDo(t, p, ""); left == "0" {
		t.Error("the alarm is lost")
	}
}
