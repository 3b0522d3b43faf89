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
	minLife       = 10 * time.Millisecond // nothing that is in order ends sooner
	minSoundLife  = time.Second
)

// backoff finds the pause before the next process. There is none after one that
// ended by itself, since it has served enough. Else the pause doubles each time
// that a process ended early.
//
// It doesn't grow as long after a signal: if scripts can be made to crash PHP,
// as by a recursion without an end, whoever does so shall not put all
// processes to rest.
type backoff struct {
	sound time.Duration // who lives longer than this has started
	pause time.Duration // the last one
}

// after returns the pause after a process that ended. killed says that it was
// killed for what it went on with.
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

// longer returns a longer pause, up to a limit.
func (b *backoff) longer(limit time.Duration) time.Duration {
	b.pause = min(limit, max(minPause, 2*b.pause))
	return b.pause
}

// keep sees to it that there is one process, of which p is the first, until the
// Server is shut down.
func (s *Server) keep(p *cgiProcess, sound time.Duration) {
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
			s.tellEnd(p, pause)
			p = nil
		}
		if !s.rest(pause) {
			return
		}
	}
}

// tellEnd logs that a process ended.
func (s *Server) tellEnd(p *cgiProcess, pause time.Duration) {
	level, msg := slog.LevelDebug, "php-cgi has served enough"
	if pause > 0 {
		s.crashes.Add(1)
		level, msg = slog.LevelError, "php-cgi ended unexpectedly"
	} else if p.lingered.Load() {
		level, msg = slog.LevelDebug, "php-cgi was killed"
	}
	p.Output.Log().Log(s.ctx, level, msg, "ending", p.Ending(), "lived", p.Lived(), "next", pause)
}

// rest waits, and reports whether the Server goes on.
func (s *Server) rest(pause time.Duration) bool {
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
