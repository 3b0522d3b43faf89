package process

import (
	"maps"
	"os"
	"os/user"
	"strings"
	"testing"
)

// values returns the variables of an environment, of which the last one counts.
func values(env []string) map[string]string {
	m := make(map[string]string)
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		m[name] = value
	}
	return m
}

// TestHomeOfAnotherUser: HOME, USER and LOGNAME are those of the user that PHP
// runs as, unless the options set them.
func TestHomeOfAnotherUser(t *testing.T) {
	www, err := user.Lookup("www-data")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", "/mine")
	t.Setenv("USER", "me")
	t.Setenv("LOGNAME", "me")
	for _, c := range []struct {
		id         *Identity
		home, name string
	}{{nil, "/mine", "me"}, {&Identity{user: www}, www.HomeDir, "www-data"}} {
		for _, home := range []string{"", "/elsewhere"} {
			add, want := map[string]string{}, c.home
			if home != "" {
				add["HOME"], want = home, home
			}
			env := values(Environment(c.id, false, add))
			if env["HOME"] != want || env["USER"] != c.name || env["LOGNAME"] != c.name {
				t.Errorf("%v: HOME=%s USER=%s LOGNAME=%s", c.id, env["HOME"], env["USER"], env["LOGNAME"])
			}
		}
	}
}

// TestPrivateVariables: what systemd gives to the daemon, and what would change
// how php-cgi behaves, doesn't reach the children.
func TestPrivateVariables(t *testing.T) {
	private := []string{"NOTIFY_SOCKET", "LISTEN_FDS", "WATCHDOG_USEC", "PHP_FCGI_CHILDREN", "FCGI_WEB_SERVER_ADDRS"}
	for _, name := range append(private, "LISTENER", "NOTIFY_SOCKETS") {
		t.Setenv(name, "x")
	}
	env := values(Environment(nil, false, nil))
	for _, name := range private {
		if _, found := env[name]; found {
			t.Errorf("the child has %s", name)
		}
	}
	if env["LISTENER"] != "x" || env["NOTIFY_SOCKETS"] != "x" {
		t.Error("a variable with a similar name is missing")
	}
}

// TestClearedEnvironment has PATH, what belongs to the user, and what is added.
func TestClearedEnvironment(t *testing.T) {
	t.Setenv("SECRET", "x")
	t.Setenv("HOME", "/mine")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	env := values(Environment(nil, true, map[string]string{"APP": "a"}))
	want := map[string]string{"PATH": os.Getenv("PATH"), "HOME": me.HomeDir, "USER": me.Username, "LOGNAME": me.Username, "APP": "a"}
	if !maps.Equal(env, want) {
		t.Errorf("%v, want %v", env, want)
	}
}
