package proxy

import (
	"io"

	"mkd/config"
	"mkd/proxy/logs"
)

// NewLogs returns the logs of a configuration, which go to out.
func NewLogs(cfg config.Log, out io.Writer) (*logs.Logs, error) {
	return logs.New(out, logs.Options{Level: cfg.Level, Format: cfg.Format, Access: cfg.Access, AccessRate: cfg.AccessRate})
}
