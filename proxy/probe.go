package proxy

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"mkd/config"
	"mkd/proxy/backend"
	"mkd/proxy/forward"
	"mkd/proxy/logs"
)

// Probe tries what the backends of a checked configuration need, and changes
// nothing: with boot it starts one worker of each PHP script and ends it, and it
// connects to servers. Errors keep mkd from starting, warnings don't; each is one
// line or more, with the place of the backend.
func Probe(ctx context.Context, cfg *config.Config, boot bool, l *logs.Logs) (errs, warnings []string) {
	spool := forward.NewSpool(&cfg.Limits.Spool)
	type result struct {
		warnings []string
		err      error
	}
	results := make([]result, len(cfg.Backends))
	var wg sync.WaitGroup
	for i := range cfg.Backends {
		b := &cfg.Backends[i]
		wg.Go(func() {
			r := &results[i]
			r.warnings, r.err = backend.Probe(ctx, b, boot, backend.Daemon{Spool: spool, Logger: l.Backend(b.Name)})
		})
	}
	wg.Wait()
	for i, r := range results {
		at := cfg.Position("backends." + cfg.Backends[i].Name)
		if r.err != nil {
			errs = append(errs, fmt.Sprintf("%s: %v", at, r.err))
		}
		for _, w := range r.warnings {
			warnings = append(warnings, fmt.Sprintf("%s: %s", at, w))
		}
	}
	return errs, slices.Compact(warnings)
}
