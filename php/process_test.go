package php

import (
	"os/user"
	"strings"
	"testing"
)

// TestHomeOfAnotherUser: HOME, USER and LOGNAME are those of the user that PHP
// runs as, unless the options say otherwise.
func TestHomeOfAnotherUser(t *testing.T) {
	www, err := user.Lookup("www-data")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", "/mine")
	t.Setenv("USER", "me")
	t.Setenv("LOGNAME", "me")
	for _, c := range []struct{ user, home, name string }{{"", "/mine", "me"}, {"www-data", www.HomeDir, "www-data"}} {
		for _, added := range []string{"", "/elsewhere"} {
			env := map[string]string{}
			add := map[string]string{}
			want := c.home
			if added != "" {
				add["HOME"], want = added, added
			}
			for _, kv := range environment(c.user, add) { // the last one counts
				name, value, _ := strings.Cut(kv, "=")
				env[name] = value
			}
			if env["HOME"] != want || env["USER"] != c.name || env["LOGNAME"] != c.name {
				t.Errorf("user %q: HOME=%s USER=%s LOGNAME=%s", c.user, env["HOME"], env["USER"], env["LOGNAME"])
			}
		}
	}
}
