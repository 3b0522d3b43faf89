package cgi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"mkd/php/internal/process"
)

// sockets are the system's sockets that have one path.
type sockets struct {
	accepted []acceptedSocket
	queued   int // connections that wait to be accepted
}

// acceptedSocket is a connection that a process has accepted.
type acceptedSocket struct {
	inode  uint32
	orphan bool // its client has closed it
}

// From linux/sock_diag.h, linux/unix_diag.h and net/tcp_states.h; see sock_diag(7).
const (
	netlinkSockDiag   = 4
	sockDiagByFamily  = 20
	showName          = 1 << 0
	showQueue         = 1 << 4
	attrName          = 0
	attrQueue         = 4 // two uint32: of a listener, the connections in its queue and their maximum
	attrShutdown      = 6 // a byte: 1 receiving is shut down, 2 sending
	stateEstablished  = 1
	stateListen       = 10
	shutdownBoth      = 3
	diagRequestSize   = 24
	diagMessageSize   = 16
	diagTimeout       = 2 * time.Second
	diagReceiveBuffer = 64 << 10
)

// listSockets asks the kernel for the sockets of a path.
func listSockets(path string) (sockets, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, netlinkSockDiag)
	if err != nil {
		return sockets{}, os.NewSyscallError("socket", err)
	}
	defer syscall.Close(fd)
	timeout := syscall.NsecToTimeval(int64(diagTimeout))
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &timeout); err != nil {
		return sockets{}, os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Sendto(fd, diagRequest(), 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return sockets{}, os.NewSyscallError("sendto", err)
	}
	var found sockets
	buf := make([]byte, diagReceiveBuffer)
	for {
		n, _, err := syscall.Recvfrom(fd, buf, 0)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return sockets{}, os.NewSyscallError("recvfrom", err)
		}
		messages, err := syscall.ParseNetlinkMessage(buf[:n])
		if err != nil {
			return sockets{}, err
		}
		for _, m := range messages {
			switch m.Header.Type {
			case syscall.NLMSG_DONE:
				return found, nil
			case syscall.NLMSG_ERROR:
				return sockets{}, diagError(m.Data)
			case sockDiagByFamily:
				found.add(m.Data, path)
			}
		}
	}
}

// diagRequest asks for all unix sockets that listen or are connected.
func diagRequest() []byte {
	b := make([]byte, 0, syscall.NLMSG_HDRLEN+diagRequestSize)
	u16, u32 := binary.NativeEndian.AppendUint16, binary.NativeEndian.AppendUint32
	b = u32(b, syscall.NLMSG_HDRLEN+diagRequestSize)
	b = u16(b, sockDiagByFamily)
	b = u16(b, syscall.NLM_F_REQUEST|syscall.NLM_F_DUMP)
	b = u32(u32(b, 1), 0) // sequence, port
	b = append(b, syscall.AF_UNIX, 0, 0, 0)
	b = u32(b, 1<<stateEstablished|1<<stateListen)
	b = u32(b, 0) // inode: any
	b = u32(b, showName|showQueue)
	return u32(u32(b, 0), 0) // cookie: any
}

func diagError(data []byte) error {
	if len(data) < 4 {
		return fmt.Errorf("sock_diag: an error of %d bytes", len(data))
	}
	return os.NewSyscallError("sock_diag", syscall.Errno(-int32(binary.NativeEndian.Uint32(data))))
}

// add adds the socket of a message, if it has the path.
func (s *sockets) add(data []byte, path string) {
	if len(data) < diagMessageSize {
		return
	}
	state, inode := data[2], binary.NativeEndian.Uint32(data[4:])
	var name string
	var queue uint32
	var shut byte
	for attrs := data[diagMessageSize:]; len(attrs) >= 4; {
		size, kind := int(binary.NativeEndian.Uint16(attrs)), binary.NativeEndian.Uint16(attrs[2:])
		if size < 4 || size > len(attrs) {
			return
		}
		switch value := attrs[4:size]; {
		case kind == attrName:
			name = strings.TrimRight(string(value), "\x00")
		case kind == attrQueue && len(value) >= 4:
			queue = binary.NativeEndian.Uint32(value)
		case kind == attrShutdown && len(value) == 1:
			shut = value[0]
		}
		attrs = attrs[min(len(attrs), (size+3)&^3):]
	}
	switch {
	case name != path:
	case state == stateListen:
		s.queued = int(queue)
	case state == stateEstablished && inode != 0:
		s.accepted = append(s.accepted, acceptedSocket{inode, shut == shutdownBoth})
	}
}

// openSockets returns the inodes of the sockets of a process that was started
// with a credential.
func openSockets(pid int, cred *syscall.Credential) (inodes []uint32, err error) {
	inodes, err = readSockets(pid)
	if errors.Is(err, fs.ErrPermission) && cred != nil {
		as(cred, func() { inodes, err = readSockets(pid) })
	}
	return inodes, err
}

func readSockets(pid int) (inodes []uint32, err error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		link, err := os.Readlink(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		var inode uint32 // 0: it was closed meanwhile
		if n, _ := fmt.Sscanf(link, "socket:[%d]", &inode); n == 1 {
			inodes = append(inodes, inode)
		}
	}
	return inodes, nil
}

// as calls f with the file permissions of another user. In a container root may
// not look at other users' processes because it lacks CAP_SYS_PTRACE; the users
// themselves may. The thread that takes the user's place (setfsuid(2)) ends here.
// From then on the kernel writes no core file of this process.
func as(cred *syscall.Credential, f func()) {
	process.OnDisposableThread(func() {
		syscall.Setfsgid(int(cred.Gid)) // reports no errors; f fails instead
		syscall.Setfsuid(int(cred.Uid))
		f()
	})
}
