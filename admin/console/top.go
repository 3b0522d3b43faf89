package console

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"mkd/admin"
)

// Top shows the daemon live on a terminal until ctx ends or a key ends it.
type Top struct {
	// Status returns the state to show.
	Status func(context.Context) (*admin.Status, error)
	// In is the terminal's input, and Out its output.
	In, Out *os.File

	order    order
	reverse  bool
	requests []float64 // in each of the last seconds
	last     *admin.Status
}

// order is what workers are sorted by.
type order int

const (
	byState order = iota
	byFor
	byMemory
	byRequests
	byAge
)

// sortKeys are the keys that choose an order.
var sortKeys = map[byte]order{'s': byState, 'f': byFor, 'm': byMemory, 'r': byRequests, 'a': byAge}

func (o order) String() string { return [...]string{"state", "for", "memory", "requests", "age"}[o] }

// interval is the time between two looks.
const interval = time.Second

// Run shows the daemon.
func (t *Top) Run(ctx context.Context) error {
	if !term.IsTerminal(int(t.In.Fd())) || !term.IsTerminal(int(t.Out.Fd())) {
		return errors.New("mkd top needs a terminal; mkd status prints the same once")
	}
	state, err := term.MakeRaw(int(t.In.Fd()))
	if err != nil {
		return err
	}
	defer term.Restore(int(t.In.Fd()), state)
	io.WriteString(t.Out, "\x1b[?1049h\x1b[?25l") // another screen, without a cursor
	defer io.WriteString(t.Out, "\x1b[?25h\x1b[?1049l")
	keys := make(chan byte)
	go func() {
		defer close(keys)
		var key [1]byte
		for {
			if n, err := t.In.Read(key[:]); n == 0 || err != nil {
				return
			}
			select {
			case keys <- key[0]:
			case <-ctx.Done():
				return
			}
		}
	}()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := t.look(ctx); err != nil {
			return err
		}
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				waiting = false
			case key, open := <-keys:
				if !open || !t.press(key) {
					return nil
				}
				t.draw()
			}
		}
	}
}

// press acts on a key, and reports false if it ends the program.
func (t *Top) press(key byte) bool {
	switch key {
	case 'q', 3, 4, 27: // ctrl-C, ctrl-D, escape
		return false
	case 'R':
		t.reverse = !t.reverse
	}
	if o, ok := sortKeys[key]; ok {
		t.order = o
	}
	return true
}

// look gets the state and draws it.
func (t *Top) look(ctx context.Context) error {
	st, err := t.Status(ctx)
	if err != nil {
		return err
	}
	if t.last != nil {
		seconds := max(st.Now.Sub(t.last.Now).Seconds(), 0.001)
		t.requests = append(t.requests, float64(st.Requests-min(st.Requests, t.last.Requests))/seconds)
		t.requests = t.requests[max(0, len(t.requests)-60):]
	}
	t.last = st
	t.draw()
	return nil
}

// draw writes the screen anew.
func (t *Top) draw() {
	width, height, err := term.GetSize(int(t.Out.Fd()))
	if err != nil {
		width, height = 0, 0
	}
	t.Out.Write(screen(t.text(), width, height))
}

// screen puts text on a screen: each line is cut to the width, and the rest of the
// screen is cleared. A terminal that reports no size, as a serial line, has 80 columns and
// 24 lines.
func screen(text string, width, height int) []byte {
	if width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) > height {
		lines = append(lines[:height-1], fmt.Sprintf("… %d lines more", len(lines)-height+1))
	}
	var b bytes.Buffer
	b.WriteString("\x1b[H")
	for i, line := range lines {
		if runes := []rune(line); len(runes) > width {
			line = string(runes[:width])
		}
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(line + "\x1b[K")
	}
	b.WriteString("\x1b[J")
	return b.Bytes()
}

// text returns what is on the screen.
func (t *Top) text() string {
	st := t.last
	var b strings.Builder
	summary(&b, st)
	now := 0.0
	if n := len(t.requests); n > 0 {
		now = t.requests[n-1]
	}
	fmt.Fprintf(&b, "%s requests/s  %s\n", rate(now), sparkline(t.requests))
	for _, why := range problems(st) {
		fmt.Fprintf(&b, "! %s\n", clean(why))
	}
	fmt.Fprintln(&b)
	shown := *st
	shown.Backends = slices.Clone(st.Backends)
	for i := range shown.Backends {
		if p := shown.Backends[i].Pool; p != nil {
			sorted := *p
			sorted.Workers = slices.Clone(p.Workers)
			t.sort(sorted.Workers)
			shown.Backends[i].Pool = &sorted
		}
	}
	fmt.Fprintf(&b, "q quit   sort by: s state  f for  m memory  r requests  a age   R reverse   (now: %v)\n", t.order)
	backends(&b, &shown)
	routes(&b, &shown)
	fmt.Fprintln(&b)
	listeners(&b, &shown)
	return b.String()
}

// sort sorts workers, those first that are looked for.
func (t *Top) sort(workers []admin.Worker) {
	rank := map[string]int{admin.WorkerHanging: 0, admin.WorkerDraining: 1, admin.WorkerBusy: 2, admin.WorkerIdle: 3}
	slices.SortStableFunc(workers, func(a, b admin.Worker) int {
		c := 0
		switch t.order {
		case byState:
			c = cmp.Or(cmp.Compare(rank[a.State], rank[b.State]), cmp.Compare(b.For, a.For))
		case byFor:
			c = cmp.Compare(b.For, a.For)
		case byMemory:
			c = cmp.Compare(b.Memory, a.Memory)
		case byRequests:
			c = cmp.Compare(b.Requests, a.Requests)
		case byAge:
			c = cmp.Compare(b.Age, a.Age)
		}
		if t.reverse {
			c = -c
		}
		return c
	})
}

// sparkline draws values as a line of blocks.
func sparkline(values []float64) string {
	blocks := []rune("▁▂▃▄▅▆▇█")
	top := 1.0
	for _, v := range values {
		top = max(top, v)
	}
	var b strings.Builder
	for _, v := range values {
		b.WriteRune(blocks[min(int(v/top*float64(len(blocks))), len(blocks)-1)])
	}
	return b.String()
}
