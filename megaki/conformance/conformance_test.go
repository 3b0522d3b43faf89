package conformance

import (
	"cmp"
	"context"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"mkd/megaki"
)

// clientKey is the key of all clients here. Making keys takes long.
var clientKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := megaki.GenerateKey()
	if err != nil {
		panic(err)
	}
	return key
})

// function is a client in this process.
type function func(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) (int, error)

func (f function) Run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) (int, error) {
	return f(ctx, args, in, out, errOut)
}

// goClient is a program around megaki.Client.
func goClient(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) (int, error) {
	pem, err := os.ReadFile(args[2])
	if err != nil {
		return 0, err
	}
	serverKey, err := megaki.ParsePublicKey(pem)
	if err != nil {
		return 0, err
	}
	ms, err := strconv.Atoi(args[4])
	if err != nil {
		return 0, err
	}
	timeout := time.Duration(ms) * time.Millisecond
	client := &megaki.Client{Address: net.JoinHostPort(args[0], args[1]),
		Config: megaki.Config{ServerKey: serverKey, ClientKey: clientKey(), HandshakeTimeout: timeout}}
	defer client.Close()
	if saved, err := os.ReadFile(args[3]); err == nil {
		client.Config.Session = new(megaki.Session)
		if err := client.Config.Session.UnmarshalBinary(saved); err != nil {
			return 0, err
		}
	}
	for {
		var size [4]byte
		if _, err := io.ReadFull(in, size[:]); err == io.EOF {
			return 0, nil
		} else if err != nil {
			return 0, err
		}
		text := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(in, text); err != nil {
			return 0, err
		}
		within, cancel := context.WithTimeout(ctx, timeout)
		response, failure := client.Send(within, text)
		cancel()
		if s := client.Session(); s != nil {
			data, _ := s.MarshalBinary()
			if err := os.WriteFile(args[3], data, 0o600); err != nil {
				return 0, err
			}
		}
		if failure != nil {
			fmt.Fprintln(errOut, failure)
			return int(goCode(failure, len(text))), nil
		}
		out.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(response))), response...))
	}
}

// goCode returns the code of the failure of a message of so many bytes.
func goCode(err error, sent int) Code {
	var refused *megaki.ServerError
	var long *megaki.TooLongError
	switch {
	case errors.As(err, &refused):
		return cmp.Or(map[megaki.Code]Code{megaki.CodeVersion: OtherVersion, megaki.CodeUnavailable: Unavailable, megaki.CodeBlacklisted: Blacklisted}[refused.Code], UnknownRefusal)
	case errors.As(err, &long) && long.Length == int64(sent):
		return MessageTooLong
	case errors.As(err, &long):
		return ResponseTooLong
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, new(*net.OpError)):
		return IOError
	}
	return ProtocolError
}

// TestGoClient plays to megaki.Client all scenarios but those that take seconds.
func TestGoClient(t *testing.T) {
	passes(t, slices.Concat(sessions(), handshakes(), messages(), resumptions()))
}

func passes(t *testing.T, scenarios []Scenario) {
	t.Helper()
	results, err := Run(t.Context(), function(goClient), Options{Scenarios: scenarios})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Err != nil {
			t.Errorf("%s: %v", r.Scenario.Name, r.Err)
		}
	}
}
