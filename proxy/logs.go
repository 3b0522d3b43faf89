package proxy

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"

	"mkd/config"
)

// Logs is where the daemon writes what happens: readable lines to a terminal,
// JSON elsewhere.
type Logs struct {
	// Main has what an operator should see at once. It isn't buffered.
	Main *zap.Logger

	requests *zap.Logger // one line a request, buffered; nil: none
	errors   *zap.Logger // for requests that failed where there are no such lines; thinned out in a flood
	buffer   *zapcore.BufferedWriteSyncer
}

// NewLogs returns the logs of a configuration, which go to out.
func NewLogs(cfg config.Log, out *os.File) (*Logs, error) {
	level, err := zapcore.ParseLevel(cfg.Level)
	if err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	var encoder zapcore.Encoder
	if cfg.Format == "console" || cfg.Format == "auto" && isTerminal(out) {
		c := zap.NewDevelopmentEncoderConfig()
		c.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		c.EncodeLevel = zapcore.CapitalColorLevelEncoder
		if !isTerminal(out) {
			c.EncodeLevel = zapcore.CapitalLevelEncoder
		}
		c.EncodeDuration = zapcore.StringDurationEncoder
		encoder = zapcore.NewConsoleEncoder(c)
	} else {
		c := zap.NewProductionEncoderConfig()
		c.TimeKey = "time"
		c.EncodeTime = zapcore.RFC3339NanoTimeEncoder
		encoder = zapcore.NewJSONEncoder(c)
	}
	locked := zapcore.Lock(out)
	l := &Logs{Main: zap.New(zapcore.NewCore(encoder, locked, level))}
	l.errors = zap.New(zapcore.NewSamplerWithOptions(l.Main.Core(), time.Second, 100, 100))
	if cfg.Access {
		l.buffer = &zapcore.BufferedWriteSyncer{WS: locked, FlushInterval: time.Second}
		l.requests = zap.New(zapcore.NewCore(encoder.Clone(), l.buffer, zapcore.InfoLevel))
	}
	return l, nil
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Close writes out what is buffered.
func (l *Logs) Close() error {
	if l.buffer == nil {
		return nil
	}
	return l.buffer.Stop()
}

// flush writes the access lines out that are buffered, so that what is logged
// next comes after them.
func (l *Logs) flush() {
	if l.buffer != nil {
		l.buffer.Sync()
	}
}

// peers is the log of what clients do wrong on a listener. A flood of it is
// thinned out: of what is said more than 100 times in a second, every
// hundredth.
func (l *Logs) peers(listener string) *slog.Logger {
	core := zapcore.NewSamplerWithOptions(l.Main.Core(), time.Second, 100, 100)
	return slog.New(zapslog.NewHandler(core)).With("listener", listener)
}

// backend is the log of a backend's processes.
func (l *Logs) backend(name string) *slog.Logger {
	return slog.New(zapslog.NewHandler(l.Main.Core())).With("backend", name)
}

// maxErrorText bounds what an access line tells of an error, in bytes: a script's
// exception may repeat what the client sent.
const maxErrorText = 2 << 10

// maxPathText bounds the path in an access line, in bytes.
const maxPathText = 1 << 10

func shorten(text string, limit int) string {
	if len(text) > limit {
		return text[:limit] + " …"
	}
	return text
}

// access writes the line of a request. Its query isn't told: it may hold
// secrets.
func (l *Logs) access(x *exchange, r *http.Request) {
	status := x.answer.Status()
	if x.err != nil {
		status = statusOf(x.err)
	}
	// What went wrong on this side, or closed a connection without a word.
	bad := x.err != nil && (status >= 500 || x.payload == config.PayloadRaw && status != statusClientGone)
	log := l.requests
	if log == nil {
		if !bad {
			return
		}
		log = l.errors // without access lines, this is told all the same
	}
	var list [17]zap.Field
	fields := append(list[:0],
		zap.String("listener", x.listener),
		zap.Stringer("client", x.client),
	)
	if x.session != nil {
		fields = append(fields, zap.Stringer("session", x.session), zap.String("payload", string(x.payload)))
	}
	if x.payload == config.PayloadHTTP && r.URL != nil {
		fields = append(fields, zap.String("method", shorten(r.Method, 32)), zap.String("host", shorten(r.Host, 256)),
			zap.String("path", shorten(x.path, maxPathText)))
	}
	if x.route != nil {
		fields = append(fields, zap.String("route", x.route.name), zap.String("backend", x.route.target))
	}
	if x.upstream != "" {
		fields = append(fields, zap.String("upstream", x.upstream))
	}
	fields = append(fields,
		zap.Int("status", status),
		zap.Int64("in", x.in()),
		zap.Int64("out", x.answer.Size()),
		zap.Duration("took", time.Since(x.started)),
	)
	if x.err != nil {
		fields = append(fields, zap.String("error", shorten(x.err.Error(), maxErrorText)))
	}
	if bad {
		log.Warn("request", fields...)
		return
	}
	log.Info("request", fields...)
}
