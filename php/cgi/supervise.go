package cgi

import (
	"log/slog"
	"syscall"
	"time"
)

// Pauses before a process is started in place of one that ended.
const (
	minPause      = 100 * time.Millisecond
	maxPause      = 30 * time.Second
	maxCrashPause = time.Second
	minLife       = 10 * time.Millisecond // a process that works lives longer
	minSoundLife  = time.Second
)

// backoff computes the pause before the next process. There is none after a
// process that ended by itself, since it has served its number of requests.
// Otherwise the pause doubles each time that a process ended early.
//
// After a signal the pause has a lower limit: a client that can make a script
// crash PHP, such as by endless recursion, must not be able to stop all
// processes for long.
type backoff struct {
	sound time.Duration // a process that lives longer has started well
	pause time.Duration // the last one
}

// after returns the pause after a process that ended. killed is whether this
// package killed it.
func (b *backoff) after(status syscall.WaitStatus, lived time.Duration, killed bool) time.Duration {
	if lived >= b.sound {
		b.pause = 0
	}
	switch {
	case killed:
		b.pause = 0
		return 0
	case status.Signaled():
		return b.longer(maxCrashPause)
	case lived >= b.sound || status.ExitStatus() == 0 && lived >= minLife:
		// The status is that of the last script: 255 after a fatal error.
		b.pause = 0
		return 0
	}
	return b.longer(maxPause)
}

// longer doubles the pause, up to a limit, and returns it.
func (b *backoff) longer(limit time.Duration) time.Duration {
	b.pause = min(limit, max(minPause, 2*b.pause))
	return b.pause
}

// supervise keeps one process running until the Server is shut down. p is the
// first one; nil: it is yet to be started.
func (s *Server) supervise(p *cgiProcess, sound time.Duration) {
	b := backoff{sound: sound}
	for {
		var pause time.Duration
		if p == nil {
			var err error
			if p, err = s.startOne(); err != nil {
				if s.ctx.Err() != nil {
					return
				}
				pause = b.longer(maxPause)
				s.log.Error("php-cgi can't be started", "error", err, "next", pause)
			}
		}
		if p != nil {
			<-p.Exited()
			if s.ctx.Err() != nil {
				return
			}
			pause = b.after(p.Status(), p.Lived(), p.lingered.Load())
			s.logExit(p, pause)
			p = nil
		}
		if !s.sleep(pause) {
			return
		}
	}
}

// logExit logs and counts the end of a process.
func (s *Server) logExit(p *cgiProcess, pause time.Duration) {
	level, msg := slog.LevelDebug, "php-cgi has served its requests"
	if pause > 0 {
		s.crashes.Add(1)
		level, msg = slog.LevelError, "php-cgi ended unexpectedly"
	} else if p.lingered.Load() {
		msg = "php-cgi was killed"
	}
	p.Output.Log().Log(s.ctx, level, msg, "ending", p.Ending(), "lived", p.Lived(), "next", pause)
}

// sleep waits, and reports whether the Server goes on.
func (s *Server) sleep(pause time.Duration) bool {
	if pause == 0 {
		return s.ctx.Err() == nil
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}
