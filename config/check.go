package config

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// at returns where a field or a list element comes from. p points to it.
func (w *walker) at(p any) *origin { return w.origins[p] }

// sound reports whether the fields were read without an error, so that it
// makes sense to compare them.
func (w *walker) sound(fields ...any) bool {
	return !slices.ContainsFunc(fields, func(p any) bool {
		o := w.origins[p]
		return o == nil || o.bad
	})
}

// wrong reports an error at a field.
func (w *walker) wrong(p any, format string, args ...any) {
	o := w.at(p)
	w.errs = append(w.errs, w.message(o.source.file, o.line, o.column, o.path, format, args...))
}

// odd reports a warning at a field.
func (w *walker) odd(p any, format string, args ...any) {
	o := w.at(p)
	w.warnings = append(w.warnings, w.message(o.source.file, o.line, o.column, o.path, format, args...))
}

// check compares fields with each other. It runs after errors too, so that all
// are reported at once, and leaves out what an error was reported for.
func (w *walker) check(cfg *Config) {
	w.checkAddresses(cfg)
	w.checkMemory(cfg)
	w.checkStorage(cfg)
	w.checkSessions(&cfg.Sessions)
	w.checkAdmin(&cfg.Admin)
	cfg.eachSection(func(k kind) { k.check(w, cfg) })
	for r := range cfg.EachRoute() {
		w.checkCompress(r.Compress)
	}
	w.checkErrorPages(cfg.ErrorPages)
	for r := range cfg.EachRoute() {
		w.checkErrorPages(r.ErrorPages)
	}
	w.inherit(cfg.Routes)
	w.checkRoutes(cfg)
}

// checkAddresses looks for listeners that can't listen beside each other. Names
// aren't looked up.
func (w *walker) checkAddresses(cfg *Config) {
	ports := make(map[string]map[string]string) // the names of listeners by port and host
	type named struct {
		name    string
		address *string
	}
	var all []named
	for i := range cfg.Listeners {
		all = append(all, named{cfg.Listeners[i].Name, cfg.Listeners[i].socket().address})
	}
	all = append(all, named{"admin.http", &cfg.Admin.HTTP}, named{"admin.metrics", &cfg.Admin.Metrics})
	for _, l := range all {
		address := l.address
		if address == nil || *address == "" || !w.sound(address) || isAnyPort(*address) {
			continue
		}
		port, host := portOf(*address), listenHost(*address)
		hosts := ports[port]
		if hosts == nil {
			hosts = make(map[string]string)
			ports[port] = hosts
		}
		if name, taken := hosts[host]; taken {
			w.wrong(address, "the listener %s has this address already; take another port", name)
			continue
		}
		if name, taken := hosts[""]; taken {
			w.wrong(address, "the listener %s has this port on all addresses already; take another port, or give %[1]s an address of its own", name)
		} else if host == "" && len(hosts) > 0 {
			other := slices.Sorted(maps.Keys(hosts))[0]
			w.wrong(address, "the listener %s has this port on %s already; take another port, or give this listener an address of its own", hosts[other], other)
		}
		hosts[host] = l.name
	}
}

// listenHost returns the one form of the host that an address listens on, "" if
// it is all addresses of the machine.
func listenHost(address string) string {
	host, _, _ := net.SplitHostPort(address)
	a, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return strings.ToLower(host)
	case a.Unmap().IsUnspecified():
		return ""
	}
	return a.Unmap().String()
}

// checkMemory checks that one message and its response find room.
func (w *walker) checkMemory(cfg *Config) {
	var largest Size
	for i := range cfg.Listeners {
		if m := cfg.Listeners[i].Megaki; m != nil && w.sound(&m.MaxMessage) {
			largest = max(largest, m.MaxMessage)
		}
	}
	memory := &cfg.Limits.MessageMemory
	if least := 2*largest + MiB; w.sound(memory) && *memory < least {
		w.wrong(memory, "got %v; want %v at least: twice the largest max_message, %v, and 1MiB", *memory, least, largest)
	}
}
