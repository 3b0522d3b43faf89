package process

import (
	"maps"
	"os"
	"slices"
	"strings"
)

// private are the variables of this process that aren't meant for its children
// (sd_notify(3), sd_listen_fds(3)), or that would make php-cgi start children or
// listen by itself. A name that ends with "_" is a prefix.
var private = []string{"NOTIFY_SOCKET", "LISTEN_", "WATCHDOG_", "PHP_FCGI_", "FCGI_"}

// Environment returns the environment of a process: this process's without what
// is private to it; HOME, USER and LOGNAME of the user, if that is another; and
// what is added. Of variables with the same name the last one counts.
func Environment(id *Identity, add map[string]string) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.ContainsFunc(private, func(p string) bool {
			return name == p || strings.HasSuffix(p, "_") && strings.HasPrefix(name, p)
		})
	})
	if id != nil && id.user != nil {
		env = append(env, "HOME="+id.user.HomeDir, "USER="+id.user.Username, "LOGNAME="+id.user.Username)
	}
	for _, name := range slices.Sorted(maps.Keys(add)) {
		env = append(env, name+"="+add[name])
	}
	return env
}
