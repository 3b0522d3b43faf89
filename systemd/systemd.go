// Package systemd speaks with the service manager: it reports the state of the daemon
// (sd_notify(3)), feeds the watchdog, and takes over sockets (sd_listen_fds(3)). Without
// a service manager it does nothing.
package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Manager is the service manager that started this process.
type Manager struct {
	log *slog.Logger
}

// New returns the service manager of this process.
func New(log *slog.Logger) *Manager { return &Manager{log} }

// Ready reports that the daemon serves, after a start or a reload.
func (m *Manager) Ready(status string) { m.notify("READY=1", "STATUS="+oneLine(status)) }

// Status reports what the daemon does, for systemctl status.
func (m *Manager) Status(status string) { m.notify("STATUS=" + oneLine(status)) }

// Reloading reports that the daemon reads its configuration anew. Ready has to follow.
func (m *Manager) Reloading() {
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	m.notify("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000), "STATUS=reading the configuration anew")
}

// Stopping reports that the daemon stops.
func (m *Manager) Stopping() { m.notify("STOPPING=1", "STATUS=stopping: requests in flight may end") }

// MainPID reports that another process takes the place of this one.
func (m *Manager) MainPID(pid int) { m.notify(fmt.Sprintf("MAINPID=%d", pid)) }

func (m *Manager) notify(state ...string) {
	if _, err := daemon.SdNotify(false, strings.Join(state, "\n")); err != nil {
		m.log.Warn("the service manager can't be reached", "error", err)
	}
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }

// Watch feeds the watchdog of the service manager, if it has one, twice in its time,
// until ctx ends: but only after check has succeeded. So a daemon that serves no more
// is started again.
func (m *Manager) Watch(ctx context.Context, check func(context.Context) error) {
	within, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		m.log.Warn("the watchdog isn't fed", "error", err)
	}
	if err != nil || within == 0 {
		return
	}
	tick := time.NewTicker(within / 2)
	defer tick.Stop()
	for {
		checked, cancel := context.WithTimeout(ctx, within/2)
		err := check(checked)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			m.log.Error("the watchdog isn't fed: mkd doesn't respond to itself", "error", err)
		default:
			m.notify("WATCHDOG=1")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Sockets returns the listening sockets that the service manager has opened. The name
// of a file is its FileDescriptorName=. Processes that are started later get neither
// the sockets nor the variables.
func Sockets() []*os.File { return activation.Files(true) }

// Environ returns an environment for a process that takes the place of this one. The
// watchdog is then fed by that process, which has another id.
func Environ(environ []string) (kept []string) {
	for _, v := range environ {
		switch name, _, _ := strings.Cut(v, "="); name {
		case "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES":
		default:
			kept = append(kept, v)
		}
	}
	return kept
}
