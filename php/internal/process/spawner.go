package process

import (
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Spawner starts processes from one OS thread, which lives as long as they do:
// the kernel sends the parent-death signal when the thread that forked ends.
type Spawner struct {
	identity *Identity
	jobs     chan func()
}

// NewSpawner returns a Spawner of processes with an identity; nil is this
// process's own. In a sandbox they can't gain privileges: they have no
// capabilities, and set-user-ID, set-group-ID and file capabilities of programs
// that they execute have no effect. The Spawner must be closed.
func NewSpawner(id *Identity, sandbox bool) (*Spawner, error) {
	s := &Spawner{identity: id, jobs: make(chan func())}
	ready := make(chan error)
	go OnDisposableThread(func() {
		var err error
		if sandbox {
			err = sandboxThread(id.isRoot())
		}
		ready <- err
		if err != nil {
			return
		}
		for job := range s.jobs {
			job()
		}
	})
	if err := <-ready; err != nil {
		return nil, err
	}
	return s, nil
}

// Close ends the thread. All its processes must have ended.
func (s *Spawner) Close() { close(s.jobs) }

// Start starts a command, whose Stdout, Stderr and SysProcAttr it sets, and logs
// what it prints to out.
func (s *Spawner) Start(cmd *exec.Cmd, out *Output) (*Process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	cmd.Stdout, cmd.Stderr = w, w
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: s.identity.Credential()}
	p := &Process{cmd: cmd, Started: time.Now(), Output: out, exited: make(chan struct{}), logged: make(chan struct{})}
	started := make(chan error, 1)
	s.jobs <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		r.Close()
		return nil, err
	}
	p.PID = cmd.Process.Pid
	out.log = out.log.With("worker", p.PID)
	go func() {
		defer close(p.logged)
		out.read(r)
		r.Close()
	}()
	go p.reap(r)
	return p, nil
}
