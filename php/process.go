package php

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"mkd/php/internal/process"
)

// stopWrite bounds how long it takes to write a STOP frame.
const stopWrite = 100 * time.Millisecond

// phpProcess is a PHP process and the pipes to it.
type phpProcess struct {
	*process.Process
	in  *os.File // calls to the process
	out *os.File // frames from the process
}

// startProcess starts PHP with Arcangelo and the script.
func (p *Pool) startProcess(o *process.Output) (*phpProcess, error) {
	opt := &p.opt
	args := []string{"-d", "opcache.enable_cli=1", "-d", "memory_limit=" + strconv.FormatInt(opt.MemoryCeiling, 10),
		"-d", "zend.exception_ignore_args=1", // passwords would be in traces
		"-d", "session.use_strict_mode=1", // the client never chooses a session's id
		"-d", "max_file_uploads=" + strconv.Itoa(opt.MaxUploads), // what applies, for scripts that ask
		"-d", "upload_max_filesize=" + strconv.FormatInt(opt.MaxUploadSize, 10),
		"-d", "log_errors=1", "-d", "error_log=", // to standard error
	}
	for _, name := range slices.Sorted(maps.Keys(opt.Ini)) {
		args = append(args, "-d", name+"="+opt.Ini[name])
	}
	args = append(args, "-d", "disable_functions=${disable_functions},"+replacedFunctions) // besides those of php.ini
	cmd := exec.Command(opt.PHP, append(args, "/proc/self/fd/5", opt.Script)...)
	cmd.Dir = opt.Dir
	cmd.Env = process.Environment(p.identity, opt.ClearEnv, opt.Env)

	calls, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer calls.Close() // once the process has it
	out, frames, err := os.Pipe()
	if err != nil {
		in.Close()
		return nil, err
	}
	defer frames.Close()
	cmd.ExtraFiles = []*os.File{calls, frames, p.loop}
	started, err := p.spawner.Start(cmd, o)
	if err != nil {
		in.Close()
		out.Close()
		return nil, fmt.Errorf("starting PHP: %w", err)
	}
	return &phpProcess{started, in, out}, nil
}

// stop sends STOP to the process, which waits for a call.
func (p *phpProcess) stop() {
	p.in.SetWriteDeadline(time.Now().Add(stopWrite)) // the pipe may hold a part of a call that it never read
	var frame [frameHeaderSize]byte
	(&frameHeader{typ: frameStop}).put(frame[:])
	p.in.Write(frame[:]) // it may have ended
	p.in.Close()
}

// exitReason describes what happened to a process whose pipe is closed. It waits
// for the end of the process for a limited time.
func (p *phpProcess) exitReason(when string, within time.Duration) error {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.Exited():
		return fmt.Errorf("it died %s: %s", when, p.Ending())
	case <-timer.C:
		return fmt.Errorf("it closed its descriptors %s", when)
	}
}
