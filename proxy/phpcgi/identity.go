package phpcgi

import (
	"fmt"
	"os/user"
	"strconv"
	"syscall"
)

// attributes has a process be in a group of its own, be killed when the thread
// that started it ends, and be the user's, with the groups of that user and none
// of this process's.
func attributes(userName, groupName string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if userName == "" && groupName == "" {
		return attr, nil
	}
	cred := &syscall.Credential{Uid: uint32(syscall.Getuid()), Gid: uint32(syscall.Getgid())}
	if userName != "" {
		if err := become(cred, userName); err != nil {
			return nil, err
		}
	}
	if groupName != "" {
		g, err := user.LookupGroup(groupName)
		if err != nil {
			return nil, err
		}
		if cred.Gid, err = parseID(g.Gid); err != nil {
			return nil, err
		}
	}
	attr.Credential = cred
	return attr, nil
}

// become makes the credential a user's.
func become(cred *syscall.Credential, name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return err
	}
	groups, err := u.GroupIds()
	if err != nil {
		return fmt.Errorf("the groups of %s: %w", name, err)
	}
	if cred.Uid, err = parseID(u.Uid); err != nil {
		return err
	}
	if cred.Gid, err = parseID(u.Gid); err != nil {
		return err
	}
	for _, g := range groups {
		id, err := parseID(g)
		if err != nil {
			return err
		}
		cred.Groups = append(cred.Groups, id)
	}
	return nil
}

func parseID(s string) (uint32, error) {
	id, err := strconv.ParseUint(s, 10, 32)
	return uint32(id), err
}
