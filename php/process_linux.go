package php

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"unsafe"
)

// procAttr puts a process into a group of its own, has it killed when the thread
// that started it ends, and gives it its identity:
// a user's with the groups of that user, none of this process's.
func procAttr(userName, groupName string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if userName == "" && groupName == "" {
		return attr, nil
	}
	cred := &syscall.Credential{Uid: uint32(syscall.Getuid()), Gid: uint32(syscall.Getgid())}
	if userName != "" {
		u, err := user.Lookup(userName)
		if err != nil {
			return nil, err
		}
		groups, err := u.GroupIds()
		if err != nil {
			return nil, fmt.Errorf("the groups of %s: %w", userName, err)
		}
		if cred.Uid, err = parseID(u.Uid); err != nil {
			return nil, err
		}
		if cred.Gid, err = parseID(u.Gid); err != nil {
			return nil, err
		}
		for _, g := range groups {
			id, err := parseID(g)
			if err != nil {
				return nil, err
			}
			cred.Groups = append(cred.Groups, id)
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

func parseID(s string) (uint32, error) {
	id, err := strconv.ParseUint(s, 10, 32)
	return uint32(id), err
}

// keepDescriptors has what this process was started with, besides its standard
// input and output, end at the start of another program: Go sees to that for
// what it opens itself.
func keepDescriptors() error {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range fds {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
	return nil
}

// awaitExit waits until the process has ended, and leaves it to be reaped.
func awaitExit(pid int) {
	const pPID = 1 // P_PID of waitid(2)
	var info [128]byte
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPID, uintptr(pid), uintptr(unsafe.Pointer(&info)),
			syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}
