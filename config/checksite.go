package config

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// check implements kind: there is one source of responses.
func (f *FastCGI) check(w *walker, _ *Config) {
	if w.sound(&f.Addresses, &f.Spawn) {
		switch listed := w.at(&f.Addresses).given; {
		case listed && f.Spawn != nil:
			w.wrong(&f.Spawn, "it has both addresses and spawn; keep the one that the site runs on")
		case listed && len(f.Addresses) == 0:
			w.wrong(&f.Addresses, "it is empty; it must have one entry at least")
		case !listed && f.Spawn == nil:
			w.wrong(f, "no server is given; set addresses to those of PHP-FPM, or spawn for a php-cgi of mkd's own")
		}
	}
	first := make(map[string]int)
	for i := range f.Addresses {
		a := &f.Addresses[i]
		if !w.sound(a) {
			continue
		}
		if socket, ok := strings.CutPrefix(*a, "unix:"); ok {
			*a = "unix:" + w.at(a).source.path(socket)
		}
		if before, taken := first[*a]; taken {
			w.wrong(a, "it is the same as addresses[%d]; take one out", before)
			continue
		}
		first[*a] = i
	}
	w.checkTryEnd(f.Try)
	if f.Spawn != nil && f.Health != nil {
		w.wrong(&f.Health, "php-cgi has no ping.path, so every check would fail; take it out: mkd sees itself whether its processes run")
	}
	if f.Spawn != nil {
		w.checkIdentity(&f.Spawn.User, &f.Spawn.Group)
	}
	w.checkBalance(&f.Balance)
	w.checkHealth(f.Health)
}

// checkTryEnd checks that nothing follows =404.
func (w *walker) checkTryEnd(try []string) {
	for i := range try {
		if try[i] == "=404" && i < len(try)-1 {
			w.wrong(&try[i], "it ends what is tried; take out what follows it")
			break
		}
	}
}

// check implements kind: what is tried can be served, and each coding is given once.
func (f *Files) check(w *walker, _ *Config) {
	w.checkTryEnd(f.Try)
	for i := range f.Try {
		if try := &f.Try[i]; w.sound(try) && strings.HasSuffix(*try, ".php") {
			w.wrong(try, "a files backend serves no scripts; use a fastcgi or php backend for them")
		}
	}
	w.checkListedTwice(f.Precompressed)
}

// warn implements kind.
func (f *Files) warn(w *walker, _ *Config) { w.warnExposed(&f.Root, f.Hide) }

// warnExposed warns of a site's folder that the configuration itself is in. hide are
// patterns of names that clients don't get.
func (w *walker) warnExposed(root *string, hide []string) {
	folder, err := filepath.Abs(*root)
	if err != nil || *root == "" || !w.sound(root) {
		return
	}
	file, err := filepath.Abs(filepath.Join(w.main.dir, filepath.Base(w.main.file)))
	if err != nil {
		return
	}
	below, err := filepath.Rel(folder, file)
	if err != nil {
		return
	}
	for name := range strings.SplitSeq(below, string(filepath.Separator)) {
		if strings.HasPrefix(name, ".") {
			return // outside, or hidden
		}
		for _, pattern := range hide {
			if match, _ := filepath.Match(strings.ToLower(pattern), strings.ToLower(name)); match {
				return
			}
		}
	}
	w.odd(root, "clients can read the configuration, which lies there as %s; put the site into a folder of its own", below)
}

// checkListedTwice checks that no entry of a list is given twice.
func (w *walker) checkListedTwice(list []string) {
	for i := range list {
		if w.sound(&list[i]) && slices.Contains(list[:i], list[i]) {
			w.wrong(&list[i], "%s is a duplicate; take one out", list[i])
		}
	}
}

// warn implements kind: options that do nothing, and a check that fails.
func (f *FastCGI) warn(w *walker, _ *Config) {
	if f.KeepAlive == 0 && w.at(&f.IdleTimeout).given {
		w.odd(&f.IdleTimeout, "it has no effect without keep_alive: no connection is kept")
	}
	if f.Health != nil && f.Health.Path == "/" {
		w.odd(&f.Health.Path, "PHP-FPM responds to a check at its ping.path alone; give that, as in /ping")
	}
	w.warnExposed(&f.Root, f.Hide)
}

// checkSocket checks host:port and unix:/path.
func checkSocket(s string) error {
	if strings.HasPrefix(s, "unix:") {
		return checkUpstream(s)
	}
	host, port, ok := strings.Cut(s, ":")
	if strings.Contains(s, "/") || !ok || host == "" || port == "0" || port == "" {
		return errors.New("want host:port, as in 127.0.0.1:9000, or unix:/path of a socket")
	}
	return checkAddress(s, "9000")
}

func checkFolder(s string) error {
	if !strings.HasPrefix(s, "/") || path.Clean(s) != s {
		return errors.New("want a whole path, which begins with / and has no / at its end")
	}
	return nil
}

func checkFilename(s string) error {
	if strings.Contains(s, "/") || s == "." || s == ".." {
		return errors.New("want the name of a file, as in index.html")
	}
	return nil
}

func checkExtension(s string) error {
	if len(s) < 2 || s[0] != '.' || strings.Contains(s, "/") {
		return errors.New("want the end of a name, as in .php")
	}
	return nil
}

// checkTry checks what is tried for a path.
func checkTry(s string) error {
	if s == "=404" {
		return nil
	}
	before, after, found := strings.Cut(s, "{path}")
	if !found {
		before, after, found = strings.Cut(s, "$uri")
	}
	if strings.ContainsAny(before+after, "?${}") {
		return errors.New("want {path}, {path}/, {path}.html, a path such as /index.php without a query, which requests keep anyway, or =404")
	}
	if found {
		s = strings.TrimSuffix(before, "/") + "/x" + after
	}
	return checkPlainPath(s)
}

func checkGlob(s string) error {
	if _, err := path.Match(s, ""); err != nil || strings.Contains(s, "/") {
		return fmt.Errorf("want a pattern of names, as in *.bak")
	}
	return nil
}
