package backend

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// account is a user as the permissions of files know it.
type account struct {
	name   string
	uid    uint32
	groups []uint32
}

// accountOf returns the account of a user and, in place of its own group, another.
func accountOf(userName, groupName string) (*account, error) {
	u, err := user.Lookup(userName)
	if err != nil {
		return nil, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	if groupName != "" {
		g, err := user.LookupGroup(groupName)
		if err != nil {
			return nil, err
		}
		ids = append(slices.DeleteFunc(ids, func(id string) bool { return id == u.Gid }), g.Gid)
	}
	a := &account{name: u.Username}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	a.uid = uint32(uid)
	for _, id := range ids {
		gid, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, err
		}
		a.groups = append(a.groups, uint32(gid))
	}
	return a, nil
}

// may reports whether the permissions of a file allow something: 4 is to read a
// file, 1 to enter a folder.
func (a *account) may(info fs.FileInfo, what fs.FileMode) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || a.uid == 0:
		return true
	case st.Uid == a.uid:
		what <<= 6
	case slices.Contains(a.groups, st.Gid):
		what <<= 3
	}
	return info.Mode().Perm()&what == what
}

// explainUnreadable returns an error that names what keeps a user from reading a
// script, nil if nothing does. Access control lists aren't considered, so that it is
// for a script that couldn't be read.
func explainUnreadable(userName, groupName, script string) error {
	if userName == "" {
		return nil // what mkd itself can't read was reported before
	}
	a, err := accountOf(userName, groupName)
	if err != nil {
		return nil
	}
	path, err := filepath.Abs(script)
	if err != nil {
		return nil
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil
	}
	dir := "/"
	for part := range strings.SplitSeq(filepath.Dir(path), "/") {
		dir = filepath.Join(dir, part)
		info, err := os.Stat(dir)
		if err != nil {
			return nil
		}
		if !a.may(info, 1) {
			return fmt.Errorf("user %s cannot read %s: it may not enter the folder %s (%v); chmod or chown it", a.name, script, dir, info.Mode())
		}
	}
	info, err := os.Stat(path)
	if err != nil || a.may(info, 4) {
		return nil
	}
	return fmt.Errorf("user %s cannot read %s (%v); chmod or chown it", a.name, script, info.Mode())
}
