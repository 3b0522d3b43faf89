package process

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// Identity is the user and the groups that processes run as. A nil Identity is
// this process's own.
type Identity struct {
	user       *user.User // nil: this process's
	credential syscall.Credential
}

// LookupIdentity returns the identity of a user with that user's groups, none of
// this process's, and of a group in place of the user's own. Either may be empty;
// if both are, the Identity is nil. It takes root.
func LookupIdentity(userName, groupName string) (*Identity, error) {
	if userName == "" && groupName == "" {
		return nil, nil
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("user and group can be set only if mkd runs as root, and it runs as %s; remove them, or start mkd as root", runningAs())
	}
	id := &Identity{credential: syscall.Credential{Uid: uint32(syscall.Getuid()), Gid: uint32(syscall.Getgid())}}
	if userName != "" {
		if err := id.setUser(userName); err != nil {
			return nil, err
		}
	}
	if groupName != "" {
		g, err := user.LookupGroup(groupName)
		if err != nil {
			return nil, err
		}
		if id.credential.Gid, err = parseID(g.Gid); err != nil {
			return nil, err
		}
	}
	return id, nil
}

// runningAs returns the name of this process's user.
func runningAs() string {
	u, err := user.LookupId(strconv.Itoa(os.Geteuid()))
	if err != nil {
		return "the user " + strconv.Itoa(os.Geteuid())
	}
	return u.Username
}

func (id *Identity) setUser(name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return err
	}
	groups, err := u.GroupIds()
	if err != nil {
		return fmt.Errorf("looking up the groups of %s: %w", name, err)
	}
	id.user = u
	if id.credential.Uid, err = parseID(u.Uid); err != nil {
		return err
	}
	if id.credential.Gid, err = parseID(u.Gid); err != nil {
		return err
	}
	for _, g := range groups {
		gid, err := parseID(g)
		if err != nil {
			return err
		}
		id.credential.Groups = append(id.credential.Groups, gid)
	}
	return nil
}

func parseID(s string) (uint32, error) {
	id, err := strconv.ParseUint(s, 10, 32)
	return uint32(id), err
}

// isRoot reports whether processes run as root.
func (id *Identity) isRoot() bool {
	if id == nil {
		return os.Geteuid() == 0
	}
	return id.credential.Uid == 0
}

// Credential returns the identity as the kernel knows it, nil if it is this
// process's own.
func (id *Identity) Credential() *syscall.Credential {
	if id == nil {
		return nil
	}
	c := id.credential
	return &c
}
