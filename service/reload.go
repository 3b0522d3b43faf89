package service

import (
	"context"
	"strings"
	"time"

	"mkd/proxy"
)

// Reload implements admin.Control.
func (s *service) Reload(ctx context.Context) error {
	began := time.Now()
	warnings, err := s.reload(ctx)
	s.reloads.note(err)
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			s.logs.Main.Error("the new configuration was refused, and the old one runs on: " + line)
		}
		return err
	}
	for _, w := range warnings {
		s.logs.Main.Warn(w)
	}
	s.logs.Main.Sugar().Infow("reloaded", "config", s.file, "took", time.Since(began))
	return nil
}

func (s *service) reload(ctx context.Context) (warnings []string, err error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.serves.Load() { // else Ready would report that the start is complete
		s.manager.Reloading()
		defer func() { s.manager.Ready(s.status()) }()
	}
	cfg, warnings, err := read(s.file)
	if err != nil {
		return nil, err
	}
	if err := s.daemon.Reload(ctx, cfg); err != nil {
		return nil, err
	}
	s.cfg.Store(cfg)
	proxy.LimitMemory(cfg)
	return warnings, nil
}
