package backend

import (
	"context"
	"slices"
	"sync"

	"mkd/config"
	"mkd/proxy/watch"
)

// phpWatch replaces the workers of a backend when a file changes.
type phpWatch struct {
	b       *phpBackend
	watcher *watch.Watcher
	ctx     context.Context
	cancel  context.CancelFunc

	mu     sync.Mutex
	broken error // why the changed script doesn't load; nil: it does
}

// watchFiles starts to watch the files of a backend. It returns nil if there is nothing
// to watch.
func watchFiles(b *phpBackend, c *config.PHP) (*phpWatch, error) {
	if len(c.Watch) == 0 {
		return nil, nil
	}
	p := &phpWatch{b: b}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	var err error
	p.watcher, err = watch.New(append(slices.Clone(c.Watch), c.Script), p.replace)
	return p, err
}

// replace replaces the workers after a change.
func (p *phpWatch) replace(path string) {
	log := p.b.log.With("changed", path)
	err := p.b.pool.Replace(p.ctx)
	if p.ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	p.broken = err
	p.mu.Unlock()
	if err != nil {
		log.Error("the changed script doesn't load; the old workers serve on", "error", err)
	} else {
		log.Info("workers were replaced")
	}
	p.b.live.reload()
}

// failure returns why the script as it is now doesn't load; nil: it does.
func (p *phpWatch) failure() error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broken
}

func (p *phpWatch) close() {
	if p != nil {
		p.cancel()
		p.watcher.Close()
	}
}
