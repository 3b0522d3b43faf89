package auth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// byBcrypt is the hash of "secret".
const byBcrypt = "$2a$04$B.pVNx2ovbDlMwlHCY2KS.bhs5X7rzeI9xQzPPfnqQCxYM8CcmgwK"

func TestParseUsers(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{ // want: of the error
		{"bcrypt", "# users\n\nann:" + byBcrypt + "\n", ""},
		{"empty", "# nobody\n", "f has no users; add one with htpasswd -B f NAME"},
		{"no colon", "ann\n", "f:1: want a name, a colon and a hash"},
		{"no name", ":" + byBcrypt, "f:1: want a name, a colon and a hash"},
		{"twice", "ann:" + byBcrypt + "\nann:" + byBcrypt, `f:2: the user "ann" is in the file already`},
		{"apr1", "ann:$apr1$x$y", `f:1: the user "ann": a hash by MD5 (apr1) is too weak; set the password again with htpasswd -B`},
		{"sha", "ann:{SHA}x", `f:1: the user "ann": a hash by SHA-1 is too weak; set the password again with htpasswd -B`},
		{"crypt", "ann:$6$x$y", `f:1: the user "ann": hashes of crypt aren't taken; set the password again with htpasswd -B`},
		{"plain", "ann:secret", "this is neither a hash by bcrypt nor one by Argon2id"},
		{"old Argon2", "ann:$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAA", "of Argon2 only argon2id is taken"},
		{"cut", "ann:" + byBcrypt[:40], "the hash by bcrypt is malformed"},
		{"long", "ann:" + byBcrypt + "x", "the hash by bcrypt is malformed"},
		{"no cost", "ann:$2a$xx$" + byBcrypt[7:], "the hash by bcrypt is malformed"},
		{"the most expensive", "ann:$2a$16$" + byBcrypt[7:], ""},
		{"another version of Argon2", "ann:$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "the hash by Argon2id is malformed"},
		{"more parts", "ann:" + argonOf("x") + "$x", "the hash by Argon2id is malformed"},
		{"fewer parameters", "ann:$argon2id$v=19$m=64,t=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "the hash by Argon2id is malformed"},
		{"expensive", "ann:$2a$20$" + byBcrypt[7:], "bcrypt with the cost 20 takes too long; 16 is the most"},
		{"much memory", "ann:$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "costs too much"},
		{"no salt", "ann:$argon2id$v=19$m=64,t=1,p=1$$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "the hash by Argon2id is malformed"},
		{"more parameters", "ann:$argon2id$v=19$m=64,t=1,p=1,x=2$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "the hash by Argon2id is malformed"},
		{"all at once", "ann:x\nbob:{SHA}y", "f:2: the user \"bob\""},
	} {
		_, err := parseUsers("f", strings.NewReader(c.file))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func FuzzUsers(f *testing.F) {
	f.Add("ann:" + byBcrypt)
	f.Add("a:$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA\n#\nb:{SHA}")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseUsers("f", strings.NewReader(text))
		if err == nil && (len(u.all) == 0 || len(u.all) != len(u.hashes)) {
			t.Errorf("%d users and %d hashes", len(u.hashes), len(u.all))
		}
	})
}

func TestHashes(t *testing.T) {
	for _, text := range []string{byBcrypt, argonOf("secret")} {
		h, err := parseHash(text)
		if err != nil {
			t.Fatal(err)
		}
		if !h.matches("secret") || h.matches("Secret") || h.matches("") {
			t.Errorf("%s matches wrongly", text)
		}
	}
}

// TestUsersFileChanges: a file that changes is read anew, and one that is broken isn't.
func TestUsersFileChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	write := func(text string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now().Add(-time.Hour)
	write("ann:"+byBcrypt, start)
	logged := 0
	f, err := newUsersFile(path, func(string, ...any) { logged++ })
	if err != nil {
		t.Fatal(err)
	}
	has := func(name string) bool {
		f.checked = time.Time{}
		_, ok := f.users().hashes[name]
		return ok
	}
	write("bob:"+byBcrypt, start.Add(time.Minute))
	if !has("bob") || has("ann") {
		t.Error("a file that changed isn't read anew")
	}
	write("carl:{SHA}x", start.Add(2*time.Minute))
	if !has("bob") || has("carl") || logged == 0 {
		t.Errorf("after a broken file there are others; %d lines are logged", logged)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if !has("bob") {
		t.Error("without the file there are no users")
	}
}
