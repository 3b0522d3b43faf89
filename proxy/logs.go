package proxy

import (
	"io"
	"io/fs"

	"mkd/config"
	"mkd/proxy/logs"
)

// NewLogs returns the logs of a configuration. They go to its file, or to out if it
// has none.
func NewLogs(cfg config.Log, out io.Writer) (*logs.Logs, error) {
	o := logs.Options{
		Level:        cfg.Level,
		Format:       cfg.Format,
		Access:       cfg.Access.Enabled,
		AccessFormat: cfg.Access.Format,
		AccessRate:   cfg.AccessRate,
	}
	if cfg.Output.File == "" {
		return logs.New(out, o)
	}
	file, err := logs.OpenFile(cfg.Output.File, fs.FileMode(cfg.Output.Mode))
	if err != nil {
		return nil, err
	}
	return logs.New(file, o)
}
