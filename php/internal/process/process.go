package process

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// OutputGrace is how long the output of a process is read after its end: a child
// of it that left the process group may hold the pipe open.
const OutputGrace = time.Second

// Process is a child process.
type Process struct {
	PID     int
	Started time.Time
	Output  *Output

	cmd    *exec.Cmd
	exited chan struct{}
	logged chan struct{} // closed when all of the output is logged
	lived  time.Duration // valid once exited is closed

	mu     sync.Mutex
	reaped bool
}

// Exited returns a channel that is closed when the process has ended and was
// reaped.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Status returns how the process ended. It is valid once Exited is closed.
func (p *Process) Status() syscall.WaitStatus {
	status, _ := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return status
}

// Lived returns how long the process ran. It is valid once Exited is closed.
func (p *Process) Lived() time.Duration { return p.lived }

// Ending describes how the process ended. It is valid once Exited is closed.
func (p *Process) Ending() string { return p.cmd.ProcessState.String() }

// Signal sends a signal to the process and its group, unless it has ended.
func (p *Process) Signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		syscall.Kill(-p.PID, sig)
	}
}

// Kill ends the process and its group immediately.
func (p *Process) Kill() { p.Signal(syscall.SIGKILL) }

// reap waits for the end of the process. The others of its group are killed
// before it is reaped, while the group's number can't be another's.
func (p *Process) reap(output *os.File) {
	awaitExit(p.PID)
	p.lived = time.Since(p.Started)
	p.mu.Lock()
	syscall.Kill(-p.PID, syscall.SIGKILL)
	p.cmd.Wait() // its error is in ProcessState
	p.reaped = true
	p.mu.Unlock()
	output.SetReadDeadline(time.Now().Add(OutputGrace))
	close(p.exited)
}

// AwaitOutput waits until the output of an ended process is logged, unless the
// log is too slow.
func (p *Process) AwaitOutput() {
	timer := time.NewTimer(2 * OutputGrace)
	defer timer.Stop()
	select {
	case <-p.logged:
	case <-timer.C:
	}
}

// awaitExit waits until a process has ended, and doesn't reap it.
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

// CloseInherited marks the descriptors that this process was started with, but
// for standard input, output and error, so that its children don't inherit them.
// Go marks those that it opens itself.
func CloseInherited() error {
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

// Jitter returns n less up to a tenth, so that processes that start together
// don't end together. It returns 0 if n isn't positive.
func Jitter(n int64) int64 {
	if n <= 0 {
		return 0
	}
	return n - rand.Int64N(n/10+1)
}
