package php

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
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

// stopWrite bounds how long it takes to tell a worker to stop.
const stopWrite = 100 * time.Millisecond

// process is a PHP process and the pipes to it.
type process struct {
	cmd    *exec.Cmd
	in     *os.File      // calls to it
	out    *os.File      // frames from it
	exited chan struct{} // closed when it has ended and was reaped
	heard  chan struct{} // closed when what it printed was read

	mu     sync.Mutex
	reaped bool
}

// newProcess starts PHP with Arcangelo and the script, in a process group of
// its own.
func newProcess(s *spawner, opt *Options, loop *os.File, o *output) (*process, error) {
	args := []string{"-d", "opcache.enable_cli=1", "-d", "memory_limit=" + strconv.FormatInt(opt.MemoryCeiling, 10),
		"-d", "zend.exception_ignore_args=1", // passwords would be in traces
		"-d", "session.use_strict_mode=1", // a session's id is never the client's choice
		"-d", "log_errors=1", "-d", "error_log=", // to standard error
	}
	for _, name := range slices.Sorted(maps.Keys(opt.Ini)) {
		args = append(args, "-d", name+"="+opt.Ini[name])
	}
	cmd := exec.Command(opt.PHP, append(args, "/proc/self/fd/5", opt.Script)...)
	cmd.Dir = opt.Dir
	cmd.Env = environment(opt.User, opt.Env)
	attr, err := procAttr(opt.User, opt.Group)
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr = attr

	p := &process{cmd: cmd, exited: make(chan struct{}), heard: make(chan struct{})}
	var theirs []*os.File // closed here once the process has them
	pipe := func(ours **os.File, weRead bool) (*os.File, error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		if !weRead {
			r, w = w, r
		}
		*ours = r
		theirs = append(theirs, w)
		return w, nil
	}
	var printed *os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
	}()
	calls, err1 := pipe(&p.in, false)
	frames, err2 := pipe(&p.out, true)
	prints, err3 := pipe(&printed, true)
	if err := errors.Join(err1, err2, err3); err != nil {
		closeAll(p.in, p.out, printed)
		return nil, err
	}
	cmd.ExtraFiles = []*os.File{calls, frames, loop}
	cmd.Stdout, cmd.Stderr = prints, prints
	if err := s.start(cmd); err != nil {
		closeAll(p.in, p.out, printed)
		return nil, fmt.Errorf("starting PHP: %w", err)
	}
	o.log = o.log.With("worker", cmd.Process.Pid)
	go func() {
		defer close(p.heard)
		o.read(printed)
		printed.Close()
	}()
	go p.reap(printed)
	return p, nil
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// environment is this process's, less what is meant for it alone, with what
// concerns the workers' user, if that is another, and what the options add.
func environment(userName string, add map[string]string) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return name == "NOTIFY_SOCKET" || strings.HasPrefix(name, "LISTEN_") || strings.HasPrefix(name, "WATCHDOG_")
	})
	if u, err := user.Lookup(userName); err == nil && userName != "" {
		env = append(env, "HOME="+u.HomeDir, "USER="+u.Username, "LOGNAME="+u.Username)
	}
	for _, name := range slices.Sorted(maps.Keys(add)) {
		env = append(env, name+"="+add[name]) // the last one counts
	}
	return env
}

// signal sends a signal to the process and its children, unless it is gone.
func (p *process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		syscall.Kill(-p.cmd.Process.Pid, sig)
	}
}

// kill ends the process and its children at once.
func (p *process) kill() { p.signal(syscall.SIGKILL) }

// stop tells the process, which waits for a call, that there are no more.
func (p *process) stop() {
	p.in.SetWriteDeadline(time.Now().Add(stopWrite)) // there may be a part of a call in the pipe that it never read
	var frame [frameHeaderSize]byte
	(&frameHeader{typ: frameStop}).put(frame[:])
	p.in.Write(frame[:]) // if it is gone, so much the better
	p.in.Close()
}

// reap waits for the process to end. Its children end with it; they are killed
// before it is reaped, while the number of its group can't be another's.
func (p *process) reap(printed *os.File) {
	awaitExit(p.cmd.Process.Pid)
	p.mu.Lock()
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	p.cmd.Wait() // its error is in ProcessState
	p.reaped = true
	p.mu.Unlock()
	close(p.exited)
	// A child that left the group may hold the pipe open.
	printed.SetReadDeadline(time.Now().Add(exitGrace))
}

// ending says how the process ended. It is valid once exited is closed.
func (p *process) ending() string { return p.cmd.ProcessState.String() }

// lost says what became of a process that isn't heard of any more.
func (p *process) lost(when string, within time.Duration) error {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.exited:
		return fmt.Errorf("it died %s: %s", when, p.ending())
	case <-timer.C:
		return fmt.Errorf("it closed its descriptors %s", when)
	}
}

// awaitOutput waits until what an ended process printed is logged, unless the
// log is too slow for that.
func (p *process) awaitOutput() {
	select {
	case <-p.heard:
	case <-time.After(2 * exitGrace):
	}
}
