package php

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bytes"
	"log/slog"
)

// TestMain runs the test binary as a worker or as the host of a pool, if a test has
// started it for that.
func TestMain(m *testing.M) {
	if mode := os.Getenv("FAKE_WORKER"); mode != "" {
		fakeWorker(mode)
		os.Exit(0)
	}
	if os.Getenv("POOL_HOST") != "" {
		hostPool()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// logBuffer keeps what a pool logs.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// await waits until a text was logged.
func (l *logBuffer) await(t *testing.T, text string) {
	t.Helper()
	eventually(t, "the log has "+text, func() bool { return strings.Contains(l.String(), text) })
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting: %s", what)
		}
	}
}

// start starts a pool that ends with the test. Nothing of it may be left then.
func start(t *testing.T, opt Options) (*Pool, *logBuffer) {
	t.Helper()
	p, log := newPool(t, opt)
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p, log
}

// checked are the tests whose child processes are counted at their end.
var checked sync.Map

func newPool(t *testing.T, opt Options) (*Pool, *logBuffer) {
	t.Helper()
	if opt.Script == "" {
		opt.Script = "testdata/kit.php"
	}
	if _, seen := checked.LoadOrStore(t, true); !seen { // cleanups run last in, first out
		t.Cleanup(func() {
			if pids := children(t); len(pids) > 0 {
				t.Errorf("processes are left: %v", pids)
			}
		})
	}
	log := new(logBuffer)
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	p, err := NewPool(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		if t.Failed() {
			t.Logf("log:\n%s", log)
		}
	})
	return p, log
}

// children returns the child processes of this one, zombies included.
func children(t *testing.T) (pids []int) {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(tasks) == 0 {
		t.Fatalf("can't list children: %v", err)
	}
	for _, file := range tasks {
		data, _ := os.ReadFile(file)
		for _, f := range strings.Fields(string(data)) {
			pid, _ := strconv.Atoi(f)
			pids = append(pids, pid)
		}
	}
	return pids
}

// alive reports whether there is a process that isn't a zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	return err == nil && !bytes.HasPrefix(rest, []byte("Z"))
}

// do sends a message and returns the response.
func do(p *Pool, message string) (string, error) { return doContext(context.Background(), p, message) }

func doContext(ctx context.Context, p *Pool, message string) (string, error) {
	var response bytes.Buffer
	err := p.Do(ctx, &Call{
		ClientAddr: netip.MustParseAddrPort("192.0.2.7:4711"),
		Session:    [16]byte{0x00, 0x27, 0xff, 15: 0x80},
		Body:       []byte(message),
	}, &response)
	return response.String(), err
}

func mustDo(t *testing.T, p *Pool, message string) string {
	t.Helper()
	response, err := do(p, message)
	if err != nil {
		t.Fatalf("%.40s: %v", message, err)
	}
	return response
}

// whole is the last status that awaitWhole saw.
var whole Status

func awaitWhole(t *testing.T, p *Pool, workers int) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("status: %+v", whole)
		}
	})
	eventually(t, fmt.Sprintf("%d workers are idle", workers), func() bool {
		whole = p.Status()
		return len(whole.Workers) == workers && busyWorkers(p) == 0 && whole.Starting == 0
	})
}

func busyWorkers(p *Pool) (n int) {
	for _, w := range p.Status().Workers {
		if w.Busy {
			n++
		}
	}
	return n
}

// fakeWorker plays a worker that misbehaves in a way.
func fakeWorker(mode string) {
	in, out := os.NewFile(3, "calls"), os.NewFile(4, "frames")
	frame := func(typ frameType, id uint64, head, body string) {
		h := frameHeader{typ: typ, head: len(head), body: int64(len(body)), id: id}
		p := make([]byte, frameHeaderSize)
		h.put(p)
		out.Write(append(p, head+body...))
	}
	twice := func(typ frameType, id uint64, head, body string) {
		h := frameHeader{typ: typ, head: len(head), body: int64(len(body)), id: id}
		p := make([]byte, frameHeaderSize)
		h.put(p)
		p = append(p, head+body...)
		out.Write(append(p, p...))
	}
	read := func() (id uint64, body string) {
		p := make([]byte, frameHeaderSize)
		if _, err := io.ReadFull(in, p); err != nil {
			os.Exit(0)
		}
		rest := make([]byte, int(binary.BigEndian.Uint16(p[2:]))+int(binary.BigEndian.Uint32(p[4:])))
		io.ReadFull(in, rest)
		if frameType(p[1]) == frameStop {
			os.Exit(0)
		}
		return binary.BigEndian.Uint64(p[8:]), string(rest[binary.BigEndian.Uint16(p[2:]):])
	}
	memory := "\x00\x00\x00\x00\x00\x10\x00\x00"
	switch mode {
	case "dies at boot":
		fmt.Fprintln(os.Stderr, "a last word")
		os.Exit(7)
	case "silent at boot":
		read()
	case "closes at boot":
		in.Close()
		out.Close()
		select {}
	case "nonsense at boot":
		out.WriteString(strings.Repeat("nonsense", 10))
		select {}
	}
	ready := "\x00\x00\x00\x01\x00"
	if length, ok := strings.CutPrefix(mode, "ready of "); ok {
		n, _ := strconv.Atoi(length)
		ready, mode = strings.Repeat("\x00", n), "well"
	}
	frame(frameReady, 0, ready, "fake")
	for {
		id, body := read()
		if frames, ok := strings.CutPrefix(mode, "frames "); ok {
			frames, _ = url.QueryUnescape(frames)
			out.Write(bytes.ReplaceAll([]byte(frames), []byte("<request>"), binary.BigEndian.AppendUint64(nil, id)))
			continue
		}
		if body == "well" || mode == "well" {
			frame(frameEnd, id, memory, body)
			continue
		}
		switch mode {
		case "wrong id":
			frame(frameEnd, id+2, memory, "another's")
		case "wrong version":
			out.Write([]byte{2, byte(frameEnd), 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
		case "wrong type":
			frame(0x7f, id, memory, "")
		case "ready again":
			frame(frameReady, id, "\x00\x00\x00\x01\x00", "")
		case "long head":
			frame(frameEnd, id, strings.Repeat("x", maxHead+1), "")
		case "short head":
			frame(frameEnd, id, "", "")
		case "half a response":
			h := frameHeader{typ: frameEnd, head: 8, body: 100, id: id}
			p := make([]byte, frameHeaderSize)
			h.put(p)
			out.Write(append(p, memory+"half"...))
			os.Exit(0)
		case "half a response, then nothing":
			h := frameHeader{typ: frameEnd, head: 8, body: 1 << 30, id: id}
			p := make([]byte, frameHeaderSize)
			h.put(p)
			out.Write(append(p, memory+"half"...))
			select {}
		case "frame after the end":
			twice(frameEnd, id, memory, body)
		case "says nothing":
			select {}
		case "dies":
			os.Exit(0)
		}
	}
}

// fake returns options of a pool whose workers misbehave in a way.
func fake(mode string, opt Options) Options {
	opt.PHP = os.Args[0]
	opt.Env = map[string]string{"FAKE_WORKER": mode, "GORACE": "atexit_sleep_ms=0"} // not a second for each exit
	return opt
}

// hostPool runs a pool until it is killed, and prints its workers' pids.
func hostPool() {
	p, err := NewPool(Options{Script: "testdata/kit.php", MinWorkers: 3, MaxWorkers: 3})
	if err == nil {
		err = p.Start(context.Background())
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	go do(p, "sleep 100000") // one of them is busy
	child, _ := do(p, "fork")
	for _, w := range p.Status().Workers {
		fmt.Print(w.PID, " ")
	}
	fmt.Println(child)
	fds, _ := do(p, "fds")
	fmt.Println(fds)
	select {}
}

func hostCommand(inherited *os.File) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "POOL_HOST=1")
	// 3 to 8: more than a worker has of its own, which would hide them.
	cmd.ExtraFiles = slices.Repeat([]*os.File{inherited}, 6)
	return cmd
}
