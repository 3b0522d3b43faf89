package main

import (
	"bytes"
	"io"
	"net"
)

// relay is the least that a proxy in Go does, with package net and a goroutine for
// each connection: it copies each request to a connection of its own to the
// upstream, and the response back. What it costs is the floor for mkd.
func relay(address, upstream string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		client, err := l.Accept()
		if err != nil {
			return err
		}
		go relayConn(client, upstream)
	}
}

// accept is the least that a server does for a connection with one small packet and
// one small response: what it costs is the floor for a resumption.
func accept(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		client, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer client.Close()
			buf := make([]byte, packetSize)
			if _, err := io.ReadFull(client, buf); err == nil {
				client.Write(buf)
			}
		}()
	}
}

// packetSize is the size of the packets of a resumption, in bytes.
const packetSize = 90

// relayConn relays requests without bodies, each of which is read in one piece, and
// so is its response.
func relayConn(client net.Conn, upstream string) {
	defer client.Close()
	server, err := net.Dial("tcp", upstream)
	if err != nil {
		return
	}
	defer server.Close()
	buf := make([]byte, 8<<10)
	for {
		n, err := client.Read(buf)
		if err != nil || !bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
			return
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
		if n, err = server.Read(buf); err != nil {
			return
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}
