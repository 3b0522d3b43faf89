package certs

import (
	"strings"

	"go.uber.org/zap/zapcore"
)

// lowered makes a core that logs at level debug what keep doesn't report.
func lowered(keep func(zapcore.Entry) bool) func(zapcore.Core) zapcore.Core {
	return func(core zapcore.Core) zapcore.Core { return loweredCore{core, keep} }
}

// notLoggedByUs keeps certmagic's errors, apart from those of obtaining a
// certificate, which acmeSource logs once.
func notLoggedByUs(e zapcore.Entry) bool {
	for _, name := range []string{".obtain", ".renew", ".acme_client"} {
		if strings.HasSuffix(e.LoggerName, name) {
			return false
		}
	}
	return e.Level >= zapcore.ErrorLevel
}

// nothing keeps no entry: errors of handshakes are the clients'.
func nothing(zapcore.Entry) bool { return false }

type loweredCore struct {
	zapcore.Core
	keep func(zapcore.Entry) bool
}

func (c loweredCore) With(fields []zapcore.Field) zapcore.Core {
	return loweredCore{c.Core.With(fields), c.keep}
}

func (c loweredCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.keep(e) {
		e.Level = zapcore.DebugLevel
	}
	return c.Core.Check(e, checked)
}
