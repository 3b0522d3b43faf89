package process

import (
	"maps"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// private are the variables of this process that aren't meant for its children
// (sd_notify(3), sd_listen_fds(3)), or that would make php-cgi start children or
// listen by itself. A name that ends with "_" is a prefix.
var private = []string{"NOTIFY_SOCKET", "LISTEN_", "WATCHDOG_", "PHP_FCGI_", "FCGI_"}

// Environment returns the environment of a process: this process's without what
// is private to it, or only its PATH if it is cleared; HOME, USER and LOGNAME of
// the user, if that is another or the environment is cleared; and what is added.
// Of variables with the same name the last one counts.
func Environment(id *Identity, clear bool, add map[string]string) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return clear && name != "PATH" || slices.ContainsFunc(private, func(p string) bool {
			return name == p || strings.HasSuffix(p, "_") && strings.HasPrefix(name, p)
		})
	})
	var u *user.User
	if id != nil && id.user != nil {
		u = id.user
	} else if clear {
		u, _ = user.LookupId(strconv.Itoa(os.Getuid())) // none in some containers
	}
	if u != nil {
		env = append(env, "HOME="+u.HomeDir, "USER="+u.Username, "LOGNAME="+u.Username)
	}
	for _, name := range slices.Sorted(maps.Keys(add)) {
		env = append(env, name+"="+add[name])
	}
	return env
}
