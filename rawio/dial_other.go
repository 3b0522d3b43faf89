//go:build !linux

package rawio

import "net"

// DialUnix connects to a unix socket, as net.DialUnix does.
func DialUnix(path string) (net.Conn, error) {
	return net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
}
