package proxy

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"mkd/config"
)

// greet logs commands to try, for a person at a terminal.
func (d *Daemon) greet() {
	for _, l := range d.open() {
		m := l.config().Megaki
		if m == nil {
			continue
		}
		key := m.Keys[0].File + ".pub"
		if _, err := os.Stat(key); err != nil {
			key = "server.key.pub"
		}
		command, what := "get", "/"
		if d.takesRaw(l.config()) {
			command, what = "send", "hello"
		}
		d.logs.Main.Info("try it: " + strings.Join([]string{
			beside("sazukari"), command, "--server", reachable(l.Addr()), "--key", fromHere(key), what}, " "))
	}
}

// takesRaw reports whether a raw message may match a route.
func (d *Daemon) takesRaw(l *config.Listener) bool {
	if l.Megaki.Payload == config.PayloadHTTP {
		return false
	}
	return slices.ContainsFunc(d.current.Load().cfg.Routes, func(r config.Route) bool {
		return r.Takes(l.Name, config.PayloadRaw)
	})
}

// reachable returns the address of a listener that a client on this machine can
// connect to.
func reachable(a net.Addr) string {
	if t, ok := a.(*net.TCPAddr); ok && t.IP.IsUnspecified() {
		return net.JoinHostPort("localhost", strconv.Itoa(t.Port))
	}
	return a.String()
}

// beside returns the path of a command in the folder of this one, as a user here
// would type it, or else its bare name.
func beside(name string) string {
	if self, err := os.Executable(); err == nil {
		path := filepath.Join(filepath.Dir(self), name)
		if _, err := os.Stat(path); err == nil {
			return fromHere(path)
		}
	}
	return name
}

// fromHere returns a path relative to the working directory, if that is shorter.
func fromHere(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}
