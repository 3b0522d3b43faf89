package dnsprovider

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/libdns/libdns"
)

// execTimeout is how long a program may take. Then it is killed, with its children.
const execTimeout = 2 * time.Minute

// Exec changes the DNS by a program. It is called with further arguments:
//
//	present FQDN VALUE    add a TXT record
//	cleanup FQDN VALUE    delete it
//
// FQDN is the whole name with a dot at the end, as _acme-challenge.example.org. There can
// be several records of a name with different values. The program has the environment of
// mkd, but for what is about its sockets, and reads nothing from its standard input. With
// the exit status 0 the record is set or deleted; otherwise the end of its output is
// logged.
type Exec struct {
	Command []string

	timeout time.Duration // for tests; 0: execTimeout
}

// AppendRecords implements libdns.RecordAppender.
func (p *Exec) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return p.each(ctx, "present", zone, records)
}

// DeleteRecords implements libdns.RecordDeleter.
func (p *Exec) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return p.each(ctx, "cleanup", zone, records)
}

func (p *Exec) each(ctx context.Context, action, zone string, records []libdns.Record) ([]libdns.Record, error) {
	for i, r := range records {
		rr := r.RR()
		name := strings.TrimSuffix(libdns.AbsoluteName(rr.Name, zone), ".") + "."
		if err := p.run(ctx, action, name, rr.Data); err != nil {
			return records[:i], err
		}
	}
	return records, nil
}

// run runs the program.
func (p *Exec) run(ctx context.Context, args ...string) error {
	timeout := p.timeout
	if timeout == 0 {
		timeout = execTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c := exec.CommandContext(ctx, p.Command[0], slices.Concat(p.Command[1:], args)...)
	c.Env = environment(os.Environ())
	out := new(tail)
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = 5 * time.Second // for children that have left the group and hold the output
	err := c.Run()
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return nil
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s %s: it took longer than %v, and was killed%s", p.Command[0], args[0], timeout, out)
	}
	return fmt.Errorf("%s %s: %w%s", p.Command[0], args[0], err, out)
}

// environment returns the environment without what is about mkd's own sockets.
func environment(all []string) []string {
	return slices.DeleteFunc(all, func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "LISTEN_") || name == "NOTIFY_SOCKET" || strings.HasPrefix(name, "WATCHDOG_")
	})
}

// tail keeps the last bytes that were written to it.
type tail struct{ buf bytes.Buffer }

// maxTail is how many bytes of a program's output an error has.
const maxTail = 1 << 10

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.buf.Write(p[max(0, len(p)-maxTail):])
	t.buf.Next(max(0, t.buf.Len()-maxTail))
	return len(p), nil
}

// String returns the output for the end of an error.
func (t *tail) String() string {
	if text := strings.TrimSpace(t.buf.String()); text != "" {
		return fmt.Sprintf("; it wrote %q", text)
	}
	return ""
}
