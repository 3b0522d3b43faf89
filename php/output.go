package php

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"mkd/php/internal/process"
)

const maxLogText = process.MaxLine // bytes of a LOG frame

// output is what one worker prints and logs, with the request that it is about.
type output struct {
	*process.Output

	fatal bool // the worker itself reported a fatal error: PHP's line adds nothing

	mu      sync.Mutex
	request uint64 // the one that began last
	route   string // its route
}

func newOutput(log *slog.Logger) *output {
	o := new(output)
	o.Output = process.NewOutput("php", log, o.origin)
	return o
}

// begin sets the request that later output belongs to.
func (o *output) begin(id uint64, route string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.request, o.route = id, route
}

// origin returns the request and its route.
func (o *output) origin() (attrs []slog.Attr) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.request != 0 {
		attrs = append(attrs, slog.String("request", fmt.Sprintf("%016x", o.request)))
	}
	if o.route != "" {
		attrs = append(attrs, slog.String("route", o.route))
	}
	return attrs
}

// explain adds what the worker printed to the error of a failed boot.
func (o *output) explain(err error) error {
	var text strings.Builder
	for line := range strings.Lines(o.Tail()) {
		if !o.fatal || !strings.HasPrefix(line, "PHP Fatal error: ") {
			text.WriteString(line)
		}
	}
	if text := strings.TrimSpace(text.String()); text != "" {
		return fmt.Errorf("%w; it printed:\n%s", err, text)
	}
	return err
}
