package proxy

import (
	"io"
	"io/fs"
	"os"

	"mkd/config"
	"mkd/proxy/logs"
)

// NewLogs returns the logs of a configuration. They go to its file, or to out if it
// has none.
func NewLogs(cfg config.Log, out io.Writer) (*logs.Logs, error) {
	out, err := logOutput(cfg, out)
	if err != nil {
		return nil, err
	}
	return logs.New(out, logOptions(cfg))
}

// logOutput opens the file of a configuration. Without one it returns out.
func logOutput(cfg config.Log, out io.Writer) (io.Writer, error) {
	if cfg.Output.File == "" {
		return out, nil
	}
	return logs.OpenFile(cfg.Output.File, fs.FileMode(cfg.Output.Mode))
}

func logOptions(cfg config.Log) logs.Options {
	return logs.Options{
		Level:        cfg.Level,
		Format:       cfg.Format,
		Access:       cfg.Access.Enabled,
		AccessFormat: cfg.Access.Format,
		AccessRate:   cfg.AccessRate,
	}
}

// planLogs opens the log file of a configuration, if it is another one than before.
func (d *Daemon) planLogs(old, cfg config.Log) (out io.Writer, err error) {
	if old.Output == cfg.Output {
		return d.logs.Output(), nil
	}
	return logOutput(cfg, os.Stderr)
}
