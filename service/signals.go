package service

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// SignalHelp is the part of `mkd run --help` about signals.
const SignalHelp = `SIGTERM, SIGINT or SIGQUIT: stop accepting, let requests in flight end within
shutdown_timeout, stop the workers, exit 0. A second one ends mkd at once.
SIGHUP: read the configuration anew, as mkd reload does; a broken one is logged,
and the old one runs on.
SIGUSR1: open the log file anew, after logrotate has renamed it, as mkd reopen does.
SIGUSR2: start the binary on disk in its place, without a refused connection, as mkd
upgrade does.
SIGPIPE is ignored.`

// catchSignals sends the process's signals to the channel. The processes
// that it starts have their usual effects, which they wouldn't if the signals
// were ignored.
func catchSignals() chan os.Signal {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE)
	return signals
}

// handle acts on signals for the rest of the process. ctx ends when mkd stops.
func (s *service) handle(ctx context.Context, signals <-chan os.Signal) {
	for sig := range signals {
		switch sig {
		case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT:
			if ctx.Err() != nil {
				os.Exit(1) // the workers end when they lose their parent
			}
			s.stop()
		case syscall.SIGUSR1:
			s.Reopen() // logs its error
		case syscall.SIGHUP:
			go s.Reload(ctx)
		case syscall.SIGPIPE: // nobody reads the log; writes to it fail
		case syscall.SIGUSR2:
			go func() {
				ctx, cancel := context.WithTimeout(ctx, upgradeTimeout)
				defer cancel()
				s.Upgrade(ctx) // logs its error
			}()
		}
	}
}
