// Package conformance tests clients of Megaki in any language. A scripted server
// plays scenarios to a client, each with one behaviour of a server, right or
// wrong, and judges the client by what it sends and by how it ends.
//
// The client under test is a small program around a library, started as
//
//		PROGRAM HOST PORT KEY SESSION TIMEOUT
//
//	  - KEY is a file with the server's public key in PEM.
//	  - SESSION is a file for the session. If it exists and isn't empty, the program
//	    resumes the session in it. After each response, and before it ends, it
//	    writes the session there, readable by the owner alone. The content is the
//	    program's own matter.
//	  - TIMEOUT is how many milliseconds a handshake or a resumption may take, and a
//	    message with its response.
//	  - Standard input has messages, each after its length in 4 bytes, big-endian.
//	    The program sends each over the session, and writes the response to standard
//	    output in the same form before it reads the next. When its input ends, it
//	    ends with 0.
//	  - If a message fails, the program ends with the Code of the failure.
//	  - If the connection was closed before a message was sent, it connects again,
//	    and resumes the session.
package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"mkd/megaki"
)

// Code is an exit code of a client: the number of the failure in libsazukari.
type Code int

// The codes of clients.
const (
	Success         Code = 0
	OtherFailure    Code = 1
	OtherVersion    Code = 2  // the server speaks another version
	Unavailable     Code = 3  // the server takes no handshakes now
	UnknownRefusal  Code = 4  // the server refused with an unknown code
	ProtocolError   Code = 6  // the server sent something wrong, or isn't the pinned one
	IOError         Code = 8  // the connection failed, was closed, or timed out
	Blacklisted     Code = 10 // the server's key must not be used any more
	MessageTooLong  Code = 11 // nothing was sent
	ResponseTooLong Code = 12
)

var codeNames = map[Code]string{Success: "success", OtherFailure: "another failure", OtherVersion: "incompatible versions", Unavailable: "service unavailable",
	UnknownRefusal: "refused with an unknown code", ProtocolError: "protocol error", IOError: "I/O error", Blacklisted: "key blacklisted",
	MessageTooLong: "message too long", ResponseTooLong: "response too long"}

func (c Code) String() string {
	if name, ok := codeNames[c]; ok {
		return fmt.Sprintf("%d (%s)", int(c), name)
	}
	return strconv.Itoa(int(c))
}

// Codes are alternatives.
type Codes []Code

func (c Codes) String() string {
	var s []string
	for _, code := range c {
		s = append(s, code.String())
	}
	return strings.Join(s, " or ")
}

// Client is a client under test.
type Client interface {
	// Run runs the client once, with the arguments HOST PORT KEY SESSION TIMEOUT,
	// and returns its exit code. When ctx ends, Run ends it.
	Run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) (code int, err error)
}

// Scenario is one behaviour of a server.
type Scenario struct {
	Name  string
	About string // what the server does, and what a client has to do
	play  func(p *player)
}

// Scenarios returns all scenarios in the order in which they are played.
func Scenarios() []Scenario {
	return slices.Concat(sessions(), handshakes(), messages(), resumptions(), timeouts())
}

// Result is how a client did in a scenario.
type Result struct {
	Scenario Scenario
	Took     time.Duration
	Err      error // nil: it passed
}

// Options are those of Run. The zero value of a field means its default.
type Options struct {
	// Address to listen on. Default: 127.0.0.1:0.
	Address string
	// Patience bounds each wait for the client. Default: 30 s.
	Patience time.Duration
	// Scenarios to play. Default: all.
	Scenarios []Scenario
	// Report, if not nil, is called after each scenario.
	Report func(Result)
}

// Run plays scenarios to a client. An error means that they couldn't be played;
// a scenario that the client fails has its error in its Result.
func Run(ctx context.Context, client Client, o Options) ([]Result, error) {
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	if o.Patience == 0 {
		o.Patience = 30 * time.Second
	}
	if o.Scenarios == nil {
		o.Scenarios = Scenarios()
	}
	l, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	key, err := megaki.GenerateKey()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	public, err := megaki.MarshalPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	keyFile := filepath.Join(folder, "server.key.pub")
	if err := os.WriteFile(keyFile, public, 0o600); err != nil {
		return nil, err
	}
	var results []Result
	for i, s := range o.Scenarios {
		own := filepath.Join(folder, strconv.Itoa(i))
		if err := os.Mkdir(own, 0o700); err != nil {
			return nil, err
		}
		p := &player{ctx: ctx, client: client, listener: l.(*net.TCPListener), serverKey: key, keyFile: keyFile, folder: own, patience: o.Patience,
			timeout: o.Patience, keys: map[string][][]byte{}, seen: map[string]string{}}
		result := p.play(s)
		if ctx.Err() != nil {
			return results, context.Cause(ctx)
		}
		results = append(results, result)
		if o.Report != nil {
			o.Report(result)
		}
	}
	return results, nil
}

// play plays a scenario to its end, or until the client fails it.
func (p *player) play(s Scenario) Result {
	for p.pending() { // a connection of the scenario before
	}
	begin := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() { // its own goroutine, which failf ends
		defer p.stop()
		s.play(p)
	})
	wg.Wait()
	return Result{s, time.Since(begin), p.failure}
}

// Failed returns how many results are failures.
func Failed(results []Result) (n int) {
	for _, r := range results {
		if r.Err != nil {
			n++
		}
	}
	return n
}

// Find returns the scenarios whose names match one of the patterns, as path.Match
// has them.
func Find(patterns ...string) ([]Scenario, error) {
	var found []Scenario
	matched := make([]bool, len(patterns))
	for _, s := range Scenarios() {
		wanted := false
		for i, pattern := range patterns {
			ok, err := filepath.Match(pattern, s.Name)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", pattern, err)
			}
			matched[i] = matched[i] || ok
			wanted = wanted || ok
		}
		if wanted {
			found = append(found, s)
		}
	}
	if i := slices.Index(matched, false); i >= 0 {
		return nil, fmt.Errorf("no scenario is named %q", patterns[i])
	}
	if found == nil {
		return nil, errors.New("no scenario is named")
	}
	return found, nil
}
