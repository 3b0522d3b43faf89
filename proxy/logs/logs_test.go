package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// output is a reader of the log. Its methods are safe for concurrent use.
type output struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	block chan struct{} // nil, or Write waits for it to be closed
	err   error         // of Write
	room  int           // with err: the bytes that are still taken
}

func (o *output) Write(p []byte) (int, error) {
	if o.block != nil {
		<-o.block
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil && len(p) > o.room {
		n, _ := o.buf.Write(p[:o.room])
		o.room = 0
		return n, o.err
	}
	return o.buf.Write(p)
}

func (o *output) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err = err
}

func (o *output) lines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.FieldsFunc(o.buf.String(), func(r rune) bool { return r == '\n' })
}

func open(t *testing.T, out io.Writer, o Options) *Logs {
	t.Helper()
	l, err := New(out, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// dropped returns the sum of what the log reports as dropped, by reason, and how
// many reports there are.
func dropped(t *testing.T, lines []string) (sum map[string]int, reports int) {
	t.Helper()
	sum = make(map[string]int)
	for _, line := range lines {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if fields["msg"] == "log lines dropped" {
			reports++
			for _, reason := range []string{"queue_full", "access_rate", "repeated"} {
				n, _ := fields[reason].(float64)
				sum[reason] += int(n)
			}
		}
	}
	return sum, reports
}

var client = netip.MustParseAddrPort("192.0.2.1:50000")

func request(path string) *Request {
	return &Request{Listener: "web", Client: client, Method: "GET", Host: "example.org", Path: path, Status: 200, Started: time.Now()}
}

// TestReaderStops logs 12 MB while nobody reads: no call waits, the
// queue keeps its bound, and Close gives up after a second. Once the log is
// read again, it reports each line that is missing.
func TestReaderStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &output{block: make(chan struct{})}
		l := open(t, out, Options{Format: "json", Access: true})
		const lines = 12000
		for range lines / 2 {
			l.Access(request("/" + strings.Repeat("x", 1000)))
			l.Main.Info(strings.Repeat("x", 1000))
		}
		l.queue.mu.Lock()
		if n := len(l.queue.pending); n > queueLimit || n < queueLimit*9/10 {
			t.Errorf("%d bytes are queued", n)
		}
		l.queue.mu.Unlock()
		close(out.block)
		time.Sleep(flushAfter) // since the last report, which the first line had
		synctest.Wait()
		have := out.lines()
		sum, reports := dropped(t, have)
		if n := l.Dropped()["queue_full"]; n != uint64(sum["queue_full"]) {
			t.Errorf("%d lines are counted as dropped, %d are reported", n, sum["queue_full"])
		}
		if n := sum["queue_full"]; n == 0 || len(have)-reports+n != lines {
			t.Errorf("%d lines are there, %d are reported as dropped, of %d", len(have)-reports, n, lines)
		}
	})
}

func TestCloseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &output{block: make(chan struct{})}
		defer close(out.block)
		l := open(t, out, Options{Format: "json"})
		l.Main.Info("hello")
		started := time.Now()
		if err := l.Close(); err == nil || time.Since(started) != time.Second {
			t.Errorf("Close: %v after %v", err, time.Since(started))
		}
	})
}

// TestDaemonKeepsRoom: access lines that fill the queue leave room for what an
// operator must see.
func TestDaemonKeepsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &output{block: make(chan struct{})}
		l := open(t, out, Options{Format: "json", Access: true})
		for range 5000 {
			l.Access(request("/" + strings.Repeat("x", 1000)))
		}
		l.Main.Error("disk full")
		close(out.block)
		synctest.Wait()
		have := out.lines()
		if sum, _ := dropped(t, have); !strings.Contains(strings.Join(have, "\n"), "disk full") || sum["queue_full"] == 0 {
			t.Error("the line is missing, or the queue wasn't full")
		}
	})
}

// TestWriteFails: while the log can't be written, its goroutine doesn't turn in
// circles; later the log reports what is missing.
func TestWriteFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(output)
		l := open(t, out, Options{Format: "json"})
		out.fail(errors.New("no space left on device"))
		for range 5 {
			l.Main.Info("lost")
			synctest.Wait()
		}
		time.Sleep(time.Hour)
		out.fail(nil)
		l.Main.Info("found")
		synctest.Wait()
		have := out.lines()
		if sum, _ := dropped(t, have); len(have) != 2 || !strings.Contains(have[0], "found") || sum["queue_full"] != 5 {
			t.Errorf("the log has %q", have)
		}
	})
}

// TestDiskFillsUp: of lines that the disk has room for in part, the whole ones aren't
// reported as dropped, and what comes later begins with a line of its own.
func TestDiskFillsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(output)
		l := open(t, out, Options{Format: "json", Access: true})
		out.fail(errors.New("no space left on device"))
		out.room = 500
		for range 5 {
			l.Access(request("/lost"))
		}
		time.Sleep(2 * flushAfter)
		out.fail(nil)
		l.Main.Info("found")
		synctest.Wait()
		var whole []string
		torn := 0
		for _, line := range out.lines() {
			if json.Valid([]byte(line)) {
				whole = append(whole, line)
			} else {
				torn++
			}
		}
		text := strings.Join(whole, "\n")
		if n := strings.Count(text, "/lost"); torn != 1 || n == 0 || !strings.Contains(text, "found") || !strings.Contains(text, fmt.Sprintf(`"queue_full":%d`, 5-n)) {
			t.Errorf("%d lines are torn; the others are\n%s", torn, text)
		}
	})
}

// TestReopenAfterTornLine: a file that is opened anew doesn't begin with an empty line.
func TestReopenAfterTornLine(t *testing.T) {
	q := newQueue(io.Discard, time.Second, func(droppedCounts) {})
	defer q.close(time.Second)
	out := &output{err: errors.New("no space left on device"), room: 3}
	q.write(out, []byte("line\n"))
	q.beginFile()
	out.fail(nil)
	q.write(out, []byte("next\n"))
	if have := out.buf.String(); have != "linnext\n" {
		t.Errorf("%q", have)
	}
}

// TestAccessWaits: access lines are written together, within a second or what the options
// say, and in order with others.
func TestAccessWaits(t *testing.T) {
	accessWaits(t, 0, flushAfter)
	accessWaits(t, 10*time.Millisecond, 10*time.Millisecond)
}

func accessWaits(t *testing.T, option, wait time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		out := new(output)
		l := open(t, out, Options{Format: "json", Access: true, FlushAfter: option})
		l.Access(request("/1"))
		time.Sleep(wait - 1)
		synctest.Wait()
		if have := out.lines(); len(have) != 0 {
			t.Errorf("before %v: %q", wait, have)
		}
		time.Sleep(1 * time.Nanosecond)
		synctest.Wait()
		if have := out.lines(); len(have) != 1 {
			t.Errorf("after %v: %q", wait, have)
		}
		l.Access(request("/2"))
		l.Main.Info("third")
		synctest.Wait()
		if have := out.lines(); len(have) != 3 || !strings.Contains(have[1], "/2") || !strings.Contains(have[2], "third") {
			t.Errorf("in the end: %q", have)
		}
		l.Access(request("/4"))
		l.Close()
		if have := out.lines(); len(have) != 4 {
			t.Errorf("after Close: %q", have)
		}
	})
}

// TestAccessFlood: a flood of refusals from one client stays within the bound,
// leaves other clients their lines, and is counted.
func TestAccessFlood(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		bound int
	}{
		{"refused", errors.New("no route matches"), 375}, // three quarters of a tenth
		{"served", nil, 3750},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out := new(output)
				l := open(t, out, Options{Format: "json", Access: true, AccessRate: 5000})
				other := request("/other")
				other.Client = netip.MustParseAddrPort("198.51.100.1:50000")
				for clientSlot(other.Client.Addr()) == clientSlot(client.Addr()) { // they share a count
					other.Client = netip.AddrPortFrom(other.Client.Addr().Next(), 50000)
				}
				const seconds, flood = 3, 10000
				for range seconds {
					for i := range flood {
						r := request("/")
						r.Err = c.err
						l.Access(r)
						if i%(flood/10) == 0 {
							l.Access(other)
						}
					}
					time.Sleep(time.Second)
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				have := out.lines()
				all, others := 0, 0
				for _, line := range have {
					if strings.Contains(line, `"msg":"request"`) {
						all++
					}
					if strings.Contains(line, "/other") {
						others++
					}
				}
				if others != seconds*10 || all-others > seconds*c.bound || all-others < seconds*c.bound*9/10 {
					t.Errorf("%d lines of the flood, %d of the other client", all-others, others)
				}
				if sum, reports := dropped(t, have); sum["access_rate"] != seconds*(flood+10)-all || reports > seconds+1 {
					t.Errorf("%d are reported as dropped, %d were; %d reports", sum["access_rate"], seconds*(flood+10)-all, reports)
				}
			})
		})
	}
}

// TestBusySiteIsWhole: a thousand requests a second behind one address, a few of
// them refused, have all their lines.
func TestBusySiteIsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(output)
		l := open(t, out, Options{Format: "json", Access: true, AccessRate: 5000})
		const requests = 10000
		for i := range requests {
			r := request("/")
			if i%5 == 0 {
				r.Err, r.Status = errors.New("not found"), 404
			}
			l.Access(r)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if have := out.lines(); len(have) != requests {
			t.Errorf("%d lines, want %d", len(have), requests)
		}
	})
}

// TestWithoutAccess: requests that fail on this side make a line even so.
func TestWithoutAccess(t *testing.T) {
	out := new(output)
	l := open(t, out, Options{Format: "json", AccessRate: 10})
	l.Access(request("/quiet"))
	bad := request("/bad")
	bad.Err, bad.Failed = errors.New("the worker died"), true
	l.Access(bad)
	l.Close()
	if have := out.lines(); len(have) != 1 || !strings.Contains(have[0], "/bad") || !strings.Contains(have[0], `"warn"`) {
		t.Errorf("the log has %q", have)
	}
}

// TestPeersFlood: a message that repeats is thinned out, and what is left out is
// counted.
func TestPeersFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(output)
		l := open(t, out, Options{Format: "json"})
		peers := l.Peers("app")
		for range 10000 {
			peers.Info("connection failed")
		}
		time.Sleep(2 * flushAfter)
		synctest.Wait()
		have := out.lines()
		sum, reports := dropped(t, have)
		if lines := len(have) - reports; lines > 200 || lines+sum["repeated"] != 10000 || reports > 2 {
			t.Errorf("%d lines, %d are reported as left out, in %d reports", lines, sum["repeated"], reports)
		}
	})
}

// TestErrorsHaveNoStackTrace: the operator of mkd doesn't debug it.
func TestErrorsHaveNoStackTrace(t *testing.T) {
	for _, format := range []string{"json", "console"} {
		out := new(output)
		l := open(t, out, Options{Format: format})
		l.Peers("app").Error("can't accept connections; trying again", "error", errors.New("too many open files"))
		l.Backend("site").Error("can't start")
		l.Main.Error("no certificate")
		l.Close()
		if have := out.lines(); len(have) != 3 || strings.Contains(strings.Join(have, ""), ".go:") {
			t.Errorf("%s: %q", format, have)
		}
	}
}

// TestRedirectStandard: lines of package log go through the queue as well.
func TestRedirectStandard(t *testing.T) {
	out := new(output)
	l := open(t, out, Options{Format: "console"})
	undo := l.RedirectStandard()
	log.Print("from a\x1b[31m dependency")
	undo()
	l.Close()
	if have := out.lines(); len(have) != 1 || !strings.Contains(have[0], `from a\u001b[31m dependency`) {
		t.Errorf("the log has %q", have)
	}
}

// TestUnsafeTextIsEscaped logs each control character and each one that changes
// the direction of text, in a message, in a field, in a field's key and in an
// error, in both formats, by each logger.
func TestUnsafeTextIsEscaped(t *testing.T) {
	var bad []rune
	for r := rune(0); r < 0xa0; r++ {
		if r < ' ' || r >= 0x7f {
			bad = append(bad, r)
		}
	}
	bad = append(bad, 0x061c, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069)
	loggers := map[string]func(l *Logs, text string){
		"main":    func(l *Logs, text string) { l.Main.Sugar().Infow(text, "text", text, "key "+text, errors.New(text)) },
		"peers":   func(l *Logs, text string) { l.Peers("app").Info(text, "text", text, "key "+text, errors.New(text)) },
		"backend": func(l *Logs, text string) { l.Backend("app").Info(text, slog.Group("g", "text", text)) },
		"with":    func(l *Logs, text string) { l.Backend("app").With("text", text).Info("hello") },
		"access": func(l *Logs, text string) {
			r := request("/" + text)
			r.Method, r.Host, r.Upstream, r.Err = text, text, text, errors.New(text)
			l.Access(r)
		},
	}
	for _, format := range []string{"json", "console"} {
		for name, log := range loggers {
			for _, r := range bad {
				out := new(output)
				l := open(t, out, Options{Format: format, Access: true})
				log(l, "näive "+string(r)+" end")
				l.Close()
				have := out.buf.String()
				line, ok := strings.CutSuffix(have, "\n")
				if format == "console" {
					line = strings.ReplaceAll(line, "\t", " ") // between columns
				}
				if !ok || strings.ContainsFunc(line, func(c rune) bool { return slices.Contains(bad, c) }) || !strings.Contains(line, "näive") {
					t.Errorf("%s, %s, %U: %q", format, name, r, have)
				}
				if format == "json" && name == "main" {
					var fields struct{ Msg, Text string }
					if err := json.Unmarshal([]byte(line), &fields); err != nil || fields.Msg != "näive "+string(r)+" end" || fields.Text != fields.Msg {
						t.Errorf("%U: read back: %+v, %v", r, fields, err)
					}
				}
			}
		}
	}
}

func FuzzEscape(f *testing.F) {
	for _, text := range []string{"", "plain", "\x1b[31mred", "a\nb", "\u202egnp.exe", "\x9b2J", "\u009b", "ok \xff\xfe", `\u202e`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, format := range []string{"json", "console"} {
			var out bytes.Buffer
			l, err := New(&out, Options{Format: format})
			if err != nil {
				t.Fatal(err)
			}
			l.Main.Sugar().Infow(text, "text", text)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			line, ok := strings.CutSuffix(out.String(), "\n")
			if format == "console" {
				line = strings.ReplaceAll(line, "\t", " ")
			}
			if !ok || !utf8.ValidString(line) || strings.ContainsFunc(line, func(c rune) bool { return c < ' ' || unsafe(c) }) {
				t.Errorf("%s: %q", format, line)
			}
			if format == "json" && !json.Valid([]byte(line)) {
				t.Errorf("not JSON: %q", line)
			}
		}
	})
}

func BenchmarkAccess(b *testing.B) {
	out, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	for name, rate := range map[string]int{"all": 0, "flood": 5000} {
		b.Run(name, func(b *testing.B) {
			l, err := New(out, Options{Format: "json", Access: true, AccessRate: rate})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			b.ReportAllocs()
			for b.Loop() {
				l.Access(request("/path"))
			}
		})
	}
}

// BenchmarkLine measures a line of each format, without the queue.
func BenchmarkLine(b *testing.B) {
	r := request("/path/of/an/ordinary/request")
	r.Route, r.Backend, r.Upstream, r.Proto = "routes[0]", "site", "127.0.0.1:9000", "HTTP/1.1"
	r.Agent, r.Referer, r.ID = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "https://example.org/page?q=1", "0123456789abcdef0123456789abcdef"
	for _, name := range []string{"json", "console", "combined", "common"} {
		b.Run(name, func(b *testing.B) {
			f := newLineFormat(name, false)
			var line []byte
			b.ReportAllocs()
			for b.Loop() {
				line = f.write(line[:0], r, r.Started)
			}
		})
	}
}

// TestConfigure: loggers that were made before follow other options, and lines go
// elsewhere, none lost.
func TestConfigure(t *testing.T) {
	dir := t.TempDir()
	first, err := OpenFile(filepath.Join(dir, "first"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(first, Options{Format: "json"})
	if err != nil {
		t.Fatal(err)
	}
	backend := l.Backend("b")
	backend.Debug("hidden")
	backend.Info("one")
	second, err := OpenFile(filepath.Join(dir, "second"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Configure(second, Options{Level: "nonsense"}); err == nil || l.Output() != first {
		t.Errorf("%v, the lines go to %v", err, l.Output())
	}
	if err := l.Configure(second, Options{Level: "debug", Format: "console"}); err != nil {
		t.Fatal(err)
	}
	backend.Debug("two")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	var all []string
	for _, name := range []string{"first", "second"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(data))
	}
	text := strings.Join(all, "")
	if strings.Contains(text, "hidden") || !strings.Contains(text, `"msg":"one"`) || !strings.Contains(all[1], "DEBUG\ttwo\t{\"backend\": \"b\"}") {
		t.Errorf("the files have %q", all)
	}
}
