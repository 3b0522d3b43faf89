package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"mkd/proxy/logs"
)

// signalHelp is the part of `mkd run --help` about signals.
const signalHelp = `SIGTERM, SIGINT or SIGQUIT: stop accepting, let requests in flight end within
shutdown_timeout, stop the workers, exit 0. A second one ends mkd at once.
SIGHUP, SIGUSR1 and SIGUSR2 are logged and change nothing: mkd can't reload its
configuration yet. SIGPIPE is ignored.`

// catchSignals has the process receive its signals on the channel. The processes
// that it starts have their usual effects, which they wouldn't if the signals
// were ignored.
func catchSignals() chan os.Signal {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE)
	return signals
}

// handleSignals acts on signals for the rest of the process. The context that it
// returns ends when mkd is to stop.
func handleSignals(signals <-chan os.Signal, l *logs.Logs) context.Context {
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		for s := range signals {
			switch s {
			case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT:
				if ctx.Err() != nil {
					os.Exit(1) // the workers end when they lose their parent
				}
				stop()
			case syscall.SIGPIPE: // nobody reads the log; writes to it fail
			default:
				l.Main.Sugar().Warnf("the signal %q is ignored: mkd can't reload its configuration yet; restart it", s)
			}
		}
	}()
	return ctx
}
