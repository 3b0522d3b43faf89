package backend

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"mkd/config"
)

const (
	probeTimeout = 3 * time.Second  // for a server
	lintTimeout  = 10 * time.Second // for php -l
)

// probeHTTP connects to the servers.
func probeHTTP(ctx context.Context, b *config.Backend, _ bool, _ Daemon) (warnings []string, err error) {
	var addresses []string
	for _, u := range b.HTTP.Upstreams {
		if strings.HasPrefix(u.URL, "unix:") {
			addresses = append(addresses, u.URL)
		} else {
			addresses = append(addresses, newServer(b.HTTP, u.URL, nil).Address)
		}
	}
	return probeServers(ctx, addresses, "is the server running?"), nil
}

// probeFastCGI connects to the servers.
func probeFastCGI(ctx context.Context, b *config.Backend, _ bool, _ Daemon) (warnings []string, err error) {
	return probeServers(ctx, b.FastCGI.Addresses, "is PHP-FPM running, with this address as the listen of its pool?"), nil
}

// probePHP checks the script's syntax, and starts one worker.
func probePHP(ctx context.Context, b *config.Backend, boot bool, d Daemon) (warnings []string, err error) {
	if !boot {
		return nil, nil
	}
	c := *b.PHP
	if err := lint(ctx, c.PHP, c.Script); err != nil {
		return nil, err
	}
	c.Workers = config.Workers{Min: 1, Max: 1}
	one := *b
	one.PHP = &c
	made, err := newPHP(&one, d)
	if err != nil {
		return nil, err
	}
	err = made.Start(ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lintTimeout)
	defer cancel()
	return nil, errors.Join(err, made.Shutdown(ctx))
}

// lint has PHP check the syntax of a script, which it doesn't run.
func lint(ctx context.Context, php, script string) error {
	ctx, cancel := context.WithTimeout(ctx, lintTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, php, "-d", "display_errors=stderr", "-d", "log_errors=0", "-d", "html_errors=0", "-l", script)
	var out bytes.Buffer
	cmd.Stderr = &out
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || ctx.Err() != nil {
		return nil // a PHP that doesn't run is reported by the worker
	}
	for line := range strings.Lines(out.String()) {
		if line = strings.TrimSpace(line); line != "" {
			return errors.New(strings.TrimPrefix(line, "PHP "))
		}
	}
	return nil
}

// probeServers connects to servers, and returns a warning for each that can't be
// reached.
func probeServers(ctx context.Context, addresses []string, hint string) (warnings []string) {
	found := make([]string, len(addresses))
	var wg sync.WaitGroup
	for i, address := range addresses {
		wg.Go(func() { found[i] = probeServer(ctx, address, hint) })
	}
	wg.Wait()
	for _, w := range found {
		if w != "" {
			warnings = append(warnings, w)
		}
	}
	return warnings
}

// probeServer connects to host:port or unix:path. It returns why it can't, "" if it
// can.
func probeServer(ctx context.Context, address, hint string) string {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	network := "tcp"
	path, isSocket := strings.CutPrefix(address, "unix:")
	if isSocket {
		network = "unix"
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, path)
	if err == nil {
		conn.Close()
		return ""
	}
	var dns *net.DNSError
	var no syscall.Errno
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("%s: the name %s isn't known; correct it, or add it to the DNS", address, dns.Name)
	case errors.As(err, &dns):
		return fmt.Sprintf("%s: the name %s can't be looked up: %s", address, dns.Name, dns.Err)
	case isSocket && errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("%s: permission denied; %s", address, socketAdvice())
	case isSocket && errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("%s: the socket doesn't exist; %s", address, hint)
	case errors.As(err, &no):
		return fmt.Sprintf("%s: %v; %s", address, no, hint)
	}
	return fmt.Sprintf("%s can't be reached: %v", address, cmp.Or(ctx.Err(), err))
}
