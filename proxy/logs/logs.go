// Package logs writes the daemon's log: readable lines on a terminal, JSON
// elsewhere.
//
// Whoever logs never waits for the reader of the log. Each line goes through one
// bounded queue, which a goroutine of its own writes out. What finds the queue
// full is dropped and counted, and the count is logged later. Control characters
// and characters that change the direction of text are escaped in all lines,
// because much of a log is text that a client sent.
package logs

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"
)

// Options configures what is logged, and how.
type Options struct {
	// Level is the least level that is logged: debug, info, warn or error.
	// "" is info.
	Level string

	// Format is console, json, or auto, which is console on a terminal and json
	// elsewhere. "" is auto.
	Format string

	// Access is set if each request makes a line, whatever the level. Otherwise only
	// requests that failed on this side do.
	Access bool

	// AccessFormat is json, console, combined, common, or auto, which is as Format. ""
	// is auto.
	AccessFormat string

	// AccessRate is how many lines requests may make in a second, see Access.
	// 0: no limit.
	AccessRate int

	// FlushAfter is how long the lines of requests may wait to be written together, and
	// how often dropped ones are reported. 0: a second. Configure doesn't change it.
	FlushAfter time.Duration
}

// Logs is where the daemon logs what happens. Its methods are safe for
// concurrent use, and never wait for the reader of the log.
type Logs struct {
	// Main is the log of the daemon itself. Its lines are written at once.
	Main *zap.Logger

	queue  *queue
	report *zap.Logger // for counts of dropped lines
	access sink        // for lines of requests, which are written within a second
	rate   accessRate
	rules  atomic.Pointer[rules]

	mu   sync.Mutex
	file *File // nil: the logs go elsewhere; guarded by mu
}

// rules are what Options make of the lines.
type rules struct {
	level   zapcore.Level
	encoder zapcore.Encoder
	line    lineFormat // of requests
	failure lineFormat // of requests that failed, if line has no room for the error
	all     bool       // whether each request makes a line
}

// New returns logs that write to out, which may be a File. Close must be called at
// the end; it closes a File.
func New(out io.Writer, o Options) (*Logs, error) {
	l := new(Logs)
	l.queue = newQueue(out, cmp.Or(o.FlushAfter, flushAfter), l.reportDropped)
	if err := l.Configure(out, o); err != nil {
		l.queue.close(0)
		return nil, err
	}
	logger := func(c *core) *zap.Logger { return zap.New(c, zap.ErrorOutput(c.sink)) }
	l.Main = logger(&core{logs: l, sink: sink{l.queue, queueLimit, false}})
	l.report = logger(&core{logs: l, sink: sink{l.queue, reportLimit, false}, always: true})
	l.access = sink{l.queue, accessLimit, true}
	return l, nil
}

// Configure has further lines follow other options, and go to out. If they went to
// another File, that is closed.
func (l *Logs) Configure(out io.Writer, o Options) error {
	r := &rules{level: zapcore.InfoLevel, all: o.Access}
	if o.Level != "" {
		var err error
		if r.level, err = zapcore.ParseLevel(o.Level); err != nil {
			return fmt.Errorf("log level: %w", err)
		}
	}
	terminal := isTerminal(out)
	console := o.Format == "console" || o.Format != "json" && terminal
	if o.AccessFormat == "" || o.AccessFormat == "auto" {
		o.AccessFormat = map[bool]string{true: "console", false: "json"}[console]
	}
	r.line, r.encoder = newLineFormat(o.AccessFormat, terminal), newEncoder(console, terminal)
	if !r.line.id {
		r.failure = newLineFormat(map[bool]string{true: "console", false: "json"}[console], terminal)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rules.Store(r)
	l.rate.setLimit(o.AccessRate)
	old := l.file
	if l.file, _ = out.(*File); old != nil && old != l.file {
		l.queue.setOut(out, old)
	} else {
		l.queue.setOut(out, nil)
	}
	return nil
}

// Output returns where the lines go.
func (l *Logs) Output() io.Writer {
	l.queue.mu.Lock()
	defer l.queue.mu.Unlock()
	return l.queue.out
}

// core is a zapcore.Core whose lines follow the rules of the moment.
type core struct {
	logs   *Logs
	sink   sink
	always bool // whatever the level
	fields []zapcore.Field
}

// Enabled implements zapcore.LevelEnabler.
func (c *core) Enabled(level zapcore.Level) bool {
	return c.always || level >= c.logs.rules.Load().level
}

// With implements zapcore.Core.
func (c *core) With(fields []zapcore.Field) zapcore.Core {
	with := *c
	with.fields = slices.Concat(c.fields, fields)
	return &with
}

// Check implements zapcore.Core.
func (c *core) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

// Write implements zapcore.Core.
func (c *core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	line, err := c.logs.rules.Load().encoder.EncodeEntry(e, slices.Concat(c.fields, fields))
	if err != nil {
		return err
	}
	defer line.Free()
	_, err = c.sink.Write(line.Bytes())
	return err
}

// Sync implements zapcore.Core.
func (c *core) Sync() error { return nil }

// consoleTime is the time of lines for reading.
const consoleTime = "15:04:05.000"

func newEncoder(console, terminal bool) zapcore.Encoder {
	if console {
		c := zap.NewDevelopmentEncoderConfig()
		c.EncodeTime = zapcore.TimeEncoderOfLayout(consoleTime)
		c.EncodeLevel = zapcore.CapitalLevelEncoder
		if terminal {
			c.EncodeLevel = zapcore.CapitalColorLevelEncoder
		}
		c.EncodeDuration = zapcore.StringDurationEncoder
		return escaping{zapcore.NewConsoleEncoder(c), true}
	}
	c := zap.NewProductionEncoderConfig()
	c.TimeKey = "time"
	c.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	return escaping{zapcore.NewJSONEncoder(c), false}
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Close writes what is queued, and returns an error if the reader of the log
// doesn't take it within a second. What is logged after Close is lost.
func (l *Logs) Close() error {
	err := l.queue.close(time.Second)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil && err == nil {
		err = l.file.Close()
	}
	return err
}

// Reopen opens the log file anew, after it was renamed. After an error the logs go
// on in the old file. Without a file it does nothing, and reports false.
func (l *Logs) Reopen() (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return false, nil
	}
	if err := l.file.Reopen(); err != nil {
		return true, err
	}
	l.queue.beginFile()
	return true, nil
}

// Peers returns the log of what clients do wrong on a listener. Of a message
// that comes more than 100 times in a second, every hundredth is logged.
func (l *Logs) Peers(listener string) *slog.Logger {
	core := zapcore.NewSamplerWithOptions(l.Main.Core(), time.Second, 100, 100, zapcore.SamplerHook(
		func(_ zapcore.Entry, decision zapcore.SamplingDecision) {
			if decision&zapcore.LogDropped != 0 {
				l.queue.drop(droppedSampled)
			}
		}))
	return newSlog(core).With("listener", listener)
}

// Backend returns the log of a backend.
func (l *Logs) Backend(name string) *slog.Logger { return newSlog(l.Main.Core()).With("backend", name) }

// Sessions returns the log of the store of sessions.
func (l *Logs) Sessions() *slog.Logger { return newSlog(l.Main.Core()) }

// Admin returns the log of what is done by the admin socket.
func (l *Logs) Admin() *slog.Logger { return newSlog(l.Main.Core()) }

// RedirectStandard sends the lines of the standard library's package log, which
// some dependencies use, to the main log, at level info. It returns a function that
// undoes it.
func (l *Logs) RedirectStandard() (undo func()) { return zap.RedirectStdLog(l.Main) }

// newSlog returns a slog.Logger that adds no stack traces, which zapslog adds
// to errors unless a level forbids it.
func newSlog(core zapcore.Core) *slog.Logger {
	return slog.New(zapslog.NewHandler(core, zapslog.AddStacktraceAt(slog.Level(math.MaxInt))))
}

// dropReasons are the reasons for which lines are dropped, as they are logged.
var dropReasons = [...]string{
	droppedFull:    "queue_full",  // the reader of the log is too slow, or writing failed
	droppedRate:    "access_rate", // see Options.AccessRate
	droppedSampled: "repeated",    // see Peers
}

// Dropped returns how many lines were dropped so far, by reason.
func (l *Logs) Dropped() map[string]uint64 {
	l.queue.mu.Lock()
	defer l.queue.mu.Unlock()
	n := make(map[string]uint64)
	for reason, name := range dropReasons {
		n[name] = l.queue.totals[reason]
	}
	return n
}

// reportDropped logs how many lines were dropped, and why.
func (l *Logs) reportDropped(n droppedCounts) {
	var fields []zap.Field
	for reason, name := range dropReasons {
		if n[reason] > 0 {
			fields = append(fields, zap.Uint64(name, n[reason]))
		}
	}
	l.report.Warn("log lines dropped", fields...)
}
