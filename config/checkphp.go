package config

import (
	"errors"
	"net/netip"
)

// check implements kind.
func (p *PHP) check(w *walker, cfg *Config) {
	if _, given := p.Ini["memory_limit"]; given && w.sound(&p.Ini) {
		w.wrong(&p.Ini, "PHP's memory_limit is set by memory_ceiling here; give that instead")
	}
	least, most := &p.Workers.Min, &p.Workers.Max
	if w.sound(least, most) && *least > *most {
		switch given := w.at(most).given; {
		case given && w.at(least).given:
			w.wrong(least, "min is %d, more than max, which is %d", *least, *most)
		case given:
			*least = *most
		default:
			*most = *least
		}
	}
	soft, hard := &p.MemoryLimit, &p.MemoryCeiling
	if w.sound(soft, hard) && *hard < *soft {
		at, what := hard, "lower memory_limit too"
		if !w.at(hard).given {
			at, what = soft, "raise memory_ceiling too"
		}
		w.wrong(at, "memory_ceiling is %v, less than memory_limit, which is %v; %s", *hard, *soft, what)
	}
	if p.LiveReload && len(p.Watch) == 0 && w.sound(&p.LiveReload, &p.Watch) {
		w.wrong(&p.LiveReload, "nothing is watched; set watch to the folders of the application")
	}
	w.checkPublic(p)
	w.checkIdentity(&p.User, &p.Group)
	w.checkDev(&p.Dev, cfg)
	w.checkDev(&p.LiveReload, cfg)
}

// warn implements kind.
func (p *PHP) warn(w *walker, _ *Config) { w.warnExposed(&p.Public, nil) }

// checkIdentity checks that mkd may start processes as another user.
func (w *walker) checkIdentity(names ...*string) {
	for _, name := range names {
		if *name != "" && w.sound(name) && w.sys.uid() != 0 {
			w.wrong(name, "only root can start processes as another user or group, and mkd runs as the user %d; take it out, or start mkd as root", w.sys.uid())
		}
	}
}

// checkPublic checks what is tried before the worker.
func (w *walker) checkPublic(p *PHP) {
	if len(p.Try) == 0 || !w.sound(&p.Public, &p.Try) {
		return
	}
	if p.Public == "" {
		w.wrong(&p.Try, "there are no files to try; set public to their folder, or take it out")
		return
	}
	for i := range p.Try {
		if last := i == len(p.Try)-1; last != (p.Try[i] == TryWorker) {
			w.wrong(&p.Try[i], "worker ends what is tried; put it at the end, and nowhere else")
			return
		}
	}
}

// checkWorkerTry checks what is tried before a worker.
func checkWorkerTry(s string) error {
	if s == TryWorker {
		return nil
	}
	if s == "=404" || checkTry(s) != nil {
		return errors.New("want {path}, {path}/, {path}/index.html, {path}.html, a path such as /offline.html, or worker")
	}
	return nil
}

// checkDev checks that what is for development alone isn't offered to the world.
func (w *walker) checkDev(option *bool, cfg *Config) {
	if !*option || !w.sound(option) { // it is off, or was reported
		return
	}
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		address := l.socket().address
		if address == nil || !w.sound(address) {
			continue
		}
		if host := listenHost(*address); host != "localhost" {
			if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
				w.wrong(option, "it is for development, but the listener %s is open to other machines; give it an address such as 127.0.0.1:8080, or take this out", l.Name)
				return
			}
		}
	}
}
