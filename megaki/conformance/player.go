package conformance

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"
)

// player plays one scenario. Its methods, and those of conn, end the scenario if
// the client fails it, as (*testing.T).Fatalf does.
type player struct {
	ctx       context.Context
	client    Client
	listener  *net.TCPListener
	serverKey *rsa.PrivateKey
	keyFile   string
	folder    string // of this scenario
	patience  time.Duration
	timeout   time.Duration // that the client is given

	run     *run
	conns   []net.Conn
	keys    map[string][][]byte // of sessions, by token: the last that was used, and those agreed on since
	seen    map[string]string   // random values, and what they were
	failure error
}

// run is one start of the client.
type run struct {
	in     io.WriteCloser
	out    *os.File
	ended  chan struct{}
	code   int
	err    error // why it couldn't be run
	stderr tail
	cancel context.CancelFunc
}

// failf ends the scenario.
func (p *player) failf(format string, args ...any) {
	p.failure = fmt.Errorf(format, args...)
	runtime.Goexit()
}

// start starts the client.
func (p *player) start() {
	address := p.listener.Addr().(*net.TCPAddr)
	host := address.IP
	if host.IsUnspecified() {
		host = net.IPv4(127, 0, 0, 1)
	}
	ctx, cancel := context.WithCancel(p.ctx)
	inR, inW, err := os.Pipe()
	if err != nil {
		p.failf("%w", err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		p.failf("%w", err)
	}
	r := &run{in: inW, out: outR, ended: make(chan struct{}), cancel: cancel}
	args := []string{host.String(), strconv.Itoa(address.Port), p.keyFile, filepath.Join(p.folder, "session"), strconv.FormatInt(p.timeout.Milliseconds(), 10)}
	go func() {
		defer close(r.ended)
		r.code, r.err = p.client.Run(ctx, args, inR, outW, &r.stderr)
		inR.Close()
		outW.Close()
	}()
	p.run = r
}

// stop ends the client, whatever it does.
func (p *player) stop() {
	for _, c := range p.conns {
		c.Close()
	}
	if p.run != nil {
		p.run.cancel()
		p.run.in.Close()
		<-p.run.ended
		p.run.out.Close()
		p.run = nil
	}
}

// send gives the client a message to send.
func (p *player) send(text []byte) {
	in, framed := p.run.in, append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
	go in.Write(framed) // it may be more than a pipe holds, and the client may have ended
}

// response waits for the client's next response. An error means that there was
// none.
func (p *player) response() ([]byte, error) {
	out := p.run.out
	out.SetReadDeadline(time.Now().Add(p.patience))
	var size [4]byte
	if _, err := io.ReadFull(out, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxMessage {
		p.failf("the client returned a response of %d bytes", n)
	}
	response := make([]byte, n)
	_, err := io.ReadFull(out, response)
	return response, err
}

// gets waits until the client returns a response, which must be this one.
func (p *player) gets(text []byte) {
	response, err := p.response()
	if err != nil {
		p.failf("the client returned no response: %v%s", err, p.how())
	}
	if !bytes.Equal(response, text) {
		p.failf("the client returned a response of %d bytes, want %d, or other bytes", len(response), len(text))
	}
}

// accept waits for the client's next connection.
func (p *player) accept() *conn {
	if c := p.acceptOrEnd(); c != nil {
		return c
	}
	p.failf("the client ended, where it had to connect%s", p.how())
	return nil
}

// acceptOrEnd waits for the client's next connection. It returns nil if the client
// ends before. The client must send nothing on the older connections.
func (p *player) acceptOrEnd(older ...*conn) *conn {
	for deadline := time.Now().Add(p.patience); time.Now().Before(deadline); {
		p.listener.SetDeadline(time.Now().Add(20 * time.Millisecond))
		nc, err := p.listener.Accept()
		if err == nil {
			p.conns = append(p.conns, nc)
			return &conn{player: p, conn: nc}
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			p.failf("%w", err)
		}
		for _, c := range older {
			if c.hasSent() {
				p.failf("the client sent a message on a connection with bytes that it didn't wait for")
			}
		}
		if p.run.hasEnded() && !p.pending() {
			return nil
		}
	}
	p.failf("the client neither connected nor ended within %s", p.patience)
	return nil
}

// pending reports whether a connection waits that a client made before it ended.
func (p *player) pending() bool {
	p.listener.SetDeadline(time.Now().Add(time.Millisecond))
	nc, err := p.listener.Accept()
	if err == nil {
		nc.Close()
	}
	return err == nil
}

func (r *run) hasEnded() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// forget removes the client's saved session.
func (p *player) forget() { os.Remove(filepath.Join(p.folder, "session")) }

// exits waits until the client has ended, which must be with one of the codes.
func (p *player) exits(codes ...Code) {
	select {
	case <-p.run.ended:
	case <-time.After(p.patience):
		p.failf("the client was still running after %s", p.patience)
	}
	if p.run.err != nil {
		p.failf("%w", p.run.err)
	}
	if !slices.Contains(codes, Code(p.run.code)) {
		p.failf("want exit code %s%s", Codes(codes), p.how())
	}
	p.run.out.SetReadDeadline(time.Now().Add(5 * time.Second)) // a child of the client may hold it
	rest, _ := io.ReadAll(io.LimitReader(p.run.out, 64))
	if len(rest) > 0 {
		p.failf("the client returned a response, although there was none")
	}
	p.checkSessionFile()
	p.stop()
}

// how returns how the client ended, for messages.
func (p *player) how() string {
	select {
	case <-p.run.ended:
		return fmt.Sprintf("; its exit code is %s%s", Code(p.run.code), p.run.stderr.quoted())
	case <-time.After(time.Second):
		return ""
	}
}

// checkSessionFile checks that nobody else can read the session.
func (p *player) checkSessionFile() {
	info, err := os.Stat(filepath.Join(p.folder, "session"))
	if err == nil && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		p.failf("the session's file has the mode %v: others can read it", info.Mode().Perm())
	}
}

// sees remembers a random value, which must not come twice.
func (p *player) sees(what string, value []byte) {
	if bytes.Equal(value, make([]byte, len(value))) {
		p.failf("%s is all zeros", what)
	}
	if before, ok := p.seen[string(value)]; ok {
		p.failf("%s isn't random: it was %s before", what, before)
	}
	p.seen[string(value)] = what
}
