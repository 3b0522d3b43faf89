package process

import (
	"os"
	"syscall"
	"unsafe"
)

// From linux/prctl.h and linux/capability.h; see prctl(2) and capset(2).
const (
	prCapBSetRead   = 23
	prCapBSetDrop   = 24
	prSetNoNewPrivs = 38

	capabilityVersion3 = 0x20080522
)

// inheritable is the index of a set in capData.
const inheritable = 2

// capHeader and capData are the arguments of capget(2) and capset(2). Version 3
// has two capData, for 64 capabilities.
type (
	capHeader struct {
		version uint32
		pid     int32 // 0: the calling thread
	}
	capData [3]uint32 // the effective, the permitted and the inheritable set
)

// sandboxThread takes from the programs that the calling thread starts every way
// to gain privileges: it sets no_new_privs, and empties the inheritable, the
// ambient and the bounding set of capabilities (capabilities(7)). The thread
// keeps the capabilities that it needs to start them.
//
// To empty the bounding set takes CAP_SETPCAP. Without it the set stays as it is. It
// means nothing then for a user other than root: no_new_privs denies what it would
// allow. But root would keep its capabilities, so that is an error.
func sandboxThread(root bool) error {
	if _, err := prctl(prSetNoNewPrivs, 1); err != nil {
		return os.NewSyscallError("prctl(PR_SET_NO_NEW_PRIVS)", err)
	}
	header := capHeader{version: capabilityVersion3}
	var data [2]capData
	if err := capCall(syscall.SYS_CAPGET, &header, &data); err != nil {
		return os.NewSyscallError("capget", err)
	}
	data[0][inheritable], data[1][inheritable] = 0, 0 // the ambient set is never larger
	if err := capCall(syscall.SYS_CAPSET, &header, &data); err != nil {
		return os.NewSyscallError("capset", err)
	}
	for capability := uintptr(0); ; capability++ {
		set, err := prctl(prCapBSetRead, capability)
		if err == syscall.EINVAL { // the kernel has no more
			return nil
		}
		if err == nil && set == 1 {
			_, err = prctl(prCapBSetDrop, capability)
		}
		if err == syscall.EPERM && !root {
			return nil
		}
		if err != nil {
			return os.NewSyscallError("prctl(PR_CAPBSET_DROP)", err)
		}
	}
}

// prctl calls prctl(2) with the arguments after the first being 0.
func prctl(option, arg uintptr) (uintptr, error) {
	r, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, option, arg, 0, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return r, nil
}

func capCall(number uintptr, header *capHeader, data *[2]capData) error {
	_, _, errno := syscall.RawSyscall(number, uintptr(unsafe.Pointer(header)), uintptr(unsafe.Pointer(data)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
