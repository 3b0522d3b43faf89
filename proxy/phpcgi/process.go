package phpcgi

import (
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// spawner starts processes from one OS thread that lives as long as they do:
// the parent-death signal comes when the thread that forked ends.
type spawner struct{ jobs chan func() }

func newSpawner() *spawner {
	s := &spawner{jobs: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for job := range s.jobs {
			job()
		}
	}()
	return s
}

func (s *spawner) start(cmd *exec.Cmd) error {
	done := make(chan error, 1)
	s.jobs <- func() { done <- cmd.Start() }
	return <-done
}

// close ends the thread. All its processes have ended.
func (s *spawner) close() { close(s.jobs) }

// process is a php-cgi.
type process struct {
	pid     int
	started time.Time
	log     *slog.Logger
	output  *output
	exited  chan struct{} // closed when it has ended and was reaped

	status syscall.WaitStatus // valid once exited is closed
	lived  time.Duration      // likewise

	lingered atomic.Bool // it was killed for what it went on with

	mu     sync.Mutex
	reaped bool
}

// startProcess starts a php-cgi that accepts connections from the listener.
func (s *spawner) startProcess(o *Options, attr *syscall.SysProcAttr, listener *os.File) (*process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	cmd := exec.Command(o.Command, arguments(o.Ini)...)
	cmd.Dir = o.Dir
	cmd.Env = environment(o.User, o.Env, jitter(o.MaxRequests))
	cmd.SysProcAttr = attr
	cmd.Stdin = listener // FCGI_LISTENSOCK_FILENO
	cmd.Stdout, cmd.Stderr = w, w
	p := &process{started: time.Now(), exited: make(chan struct{})}
	if err := s.start(cmd); err != nil {
		r.Close()
		return nil, fmt.Errorf("starting php-cgi: %w", err)
	}
	p.pid = cmd.Process.Pid
	p.log = o.Logger.With("pid", p.pid)
	p.output = newOutput(p.log)
	go func() {
		p.output.read(r)
		r.Close()
	}()
	go p.reap(cmd, r)
	return p, nil
}

func arguments(ini map[string]string) (args []string) {
	for _, name := range slices.Sorted(maps.Keys(ini)) {
		args = append(args, "-d", name+"="+ini[name])
	}
	return args
}

// environment is this process's, less what is meant for it alone or would have
// php-cgi behave otherwise, with what concerns the processes' user, if that is
// another, and what the options add.
func environment(userName string, add map[string]string, maxRequests int) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		for _, prefix := range []string{"LISTEN_", "WATCHDOG_", "PHP_FCGI_", "FCGI_"} {
			if strings.HasPrefix(name, prefix) {
				return true
			}
		}
		return name == "NOTIFY_SOCKET"
	})
	if u, err := user.Lookup(userName); err == nil && userName != "" {
		env = append(env, "HOME="+u.HomeDir, "USER="+u.Username, "LOGNAME="+u.Username)
	}
	for _, name := range slices.Sorted(maps.Keys(add)) {
		env = append(env, name+"="+add[name]) // the last one counts
	}
	return append(env, "PHP_FCGI_CHILDREN=0", "PHP_FCGI_MAX_REQUESTS="+strconv.Itoa(maxRequests))
}

// jitter returns n, less a tenth at most, so that processes don't all end at
// once; for php-cgi, 0 is no limit.
func jitter(n int) int {
	if n <= 0 {
		return 0
	}
	return n - rand.IntN(n/10+1)
}

// kill ends the process and its children at once, unless it is gone.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		syscall.Kill(-p.pid, syscall.SIGKILL)
	}
}

// outputGrace is how long the output is read of a process that has ended: a
// child that left its group may hold the pipe open.
const outputGrace = time.Second

// reap waits for the process to end. Its children end with it; they are killed
// before it is reaped, while the number of its group can't be another's.
func (p *process) reap(cmd *exec.Cmd, output *os.File) {
	awaitExit(p.pid)
	p.lived = time.Since(p.started)
	p.mu.Lock()
	syscall.Kill(-p.pid, syscall.SIGKILL)
	cmd.Wait() // its error is in ProcessState
	p.reaped = true
	p.mu.Unlock()
	p.status, _ = cmd.ProcessState.Sys().(syscall.WaitStatus)
	output.SetReadDeadline(time.Now().Add(outputGrace))
	close(p.exited)
}

// awaitOutput waits until what an ended process printed is logged, unless the
// log is too slow for that.
func (p *process) awaitOutput() {
	select {
	case <-p.output.done:
	case <-time.After(2 * outputGrace):
	}
}

// ending says how the process ended. It is valid once exited is closed.
func (p *process) ending() string {
	if p.status.Signaled() {
		return "signal " + strconv.Itoa(int(p.status.Signal())) + " (" + p.status.Signal().String() + ")"
	}
	return "exit status " + strconv.Itoa(p.status.ExitStatus())
}

// awaitExit waits until the process has ended, and leaves it to be reaped.
func awaitExit(pid int) {
	const pPID = 1 // P_PID of waitid(2)
	var info [128]byte
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPID, uintptr(pid), uintptr(unsafe.Pointer(&info)),
			syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}

// keepDescriptors has what this process was started with, besides its standard
// input and output, end at the start of another program: Go sees to that for
// what it opens itself.
func keepDescriptors() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
	return nil
}
