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
	id      uint64 // of the call that began last
	request origin // its request
}

// origin is the request that a log line is about.
type origin struct{ id, route string }

func newOutput(log *slog.Logger) *output {
	o := new(output)
	o.Output = process.NewOutput("php", log, o.attrs)
	return o
}

// begin sets the call, and its request, that later output belongs to.
func (o *output) begin(id uint64, request origin) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.id, o.request = id, request
}

// attrs returns the request and its route, for log lines.
func (o *output) attrs() (attrs []slog.Attr) {
	o.mu.Lock()
	defer o.mu.Unlock()
	id := o.request.id
	if id == "" && o.id != 0 {
		id = fmt.Sprintf("%016x", o.id)
	}
	if id != "" {
		attrs = append(attrs, slog.String("request_id", id))
	}
	if o.request.route != "" {
		attrs = append(attrs, slog.String("route", o.request.route))
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
