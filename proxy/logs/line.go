package logs

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.uber.org/zap/zapcore"
)

// lineFormat is a format of access lines.
type lineFormat struct {
	write     func(to []byte, r *Request, now time.Time) []byte // appends a line
	agent, id bool                                              // the fields that it has, see Wants; those without an id have no error either
}

// newLineFormat returns a format by its name. terminal is whether the lines go to a
// terminal.
func newLineFormat(name string, terminal bool) lineFormat {
	switch name {
	case "common":
		return lineFormat{write: appendCommon}
	case "combined":
		return lineFormat{write: appendCombined, agent: true}
	case "console":
		return lineFormat{write: consoleLine(terminal), agent: true, id: true}
	}
	return lineFormat{write: appendJSON, agent: true, id: true}
}

// appendJSON appends the line of the format json.
func appendJSON(to []byte, r *Request, now time.Time) []byte {
	level := zapcore.InfoLevel
	if r.Failed {
		level = zapcore.WarnLevel
	}
	to = append(to, `{"level":"`...)
	to = append(to, level.String()...)
	to = append(to, `","time":"`...)
	to = now.AppendFormat(to, time.RFC3339Nano)
	to = append(to, `","msg":"request",`...)
	f := fields{to: to}
	f.add(r, now)
	return append(f.to, "}\n"...)
}

// consoleLine returns the format console, which has the same fields for reading.
func consoleLine(terminal bool) func([]byte, *Request, time.Time) []byte {
	info, warn := zapcore.InfoLevel.CapitalString(), zapcore.WarnLevel.CapitalString()
	if terminal {
		info, warn = "\x1b[34m"+info+"\x1b[0m", "\x1b[33m"+warn+"\x1b[0m"
	}
	return func(to []byte, r *Request, now time.Time) []byte {
		to = now.AppendFormat(to, consoleTime)
		to = append(to, '\t')
		if r.Failed {
			to = append(to, warn...)
		} else {
			to = append(to, info...)
		}
		to = append(to, "\trequest\t{"...)
		f := fields{to: to, spaced: true}
		f.add(r, now)
		return append(f.to, "}\n"...)
	}
}

// fields appends the fields of a line as members of a JSON object.
type fields struct {
	to     []byte
	spaced bool // as zap's console has them
	begun  bool
}

func (f *fields) add(r *Request, now time.Time) {
	f.text("listener", r.Listener, maxHost)
	f.key("client")
	f.to = append(f.to, '"')
	f.to = r.Client.AppendTo(f.to)
	f.to = append(f.to, '"')
	if r.Session != nil {
		f.key("session")
		f.to = append(f.to, '"')
		f.to, _ = r.Session.AppendText(f.to)
		f.to = append(f.to, '"')
		f.text("key", r.Key, maxHost)
	}
	f.text("payload", r.Payload, maxMethod)
	f.text("method", r.Method, maxMethod)
	f.text("host", r.Host, maxHost)
	f.text("path", r.Path, MaxPath)
	f.text("route", r.Route, maxHost)
	f.text("backend", r.Backend, maxHost)
	f.text("upstream", r.Upstream, maxHost)
	if r.Worker != 0 {
		f.number("worker", int64(r.Worker))
	}
	f.number("status", int64(r.Status))
	f.number("in", r.In)
	f.number("out", r.Out)
	f.key("took_ms")
	f.to = appendMilliseconds(f.to, now.Sub(r.Started))
	f.text("user_agent", r.Agent, maxAgent)
	f.text("referer", withoutQuery(r.Referer), MaxPath)
	f.text("request_id", r.ID, maxHost)
	if r.Err != nil {
		f.text("error", r.Err.Error(), maxError)
	}
}

func (f *fields) key(key string) {
	if f.begun {
		f.to = append(f.to, ',')
		if f.spaced {
			f.to = append(f.to, ' ')
		}
	}
	f.begun = true
	f.to = append(f.to, '"')
	f.to = append(f.to, key...)
	f.to = append(f.to, `":`...)
	if f.spaced {
		f.to = append(f.to, ' ')
	}
}

// text appends a text, and of a longer one its first limit bytes; nothing if it is
// empty.
func (f *fields) text(key, text string, limit int) {
	if text == "" {
		return
	}
	f.key(key)
	f.to = append(f.to, '"')
	if len(text) > limit {
		f.to = append(appendText(f.to, text[:limit], true), " …"...)
	} else {
		f.to = appendText(f.to, text, true)
	}
	f.to = append(f.to, '"')
}

func (f *fields) number(key string, n int64) {
	f.key(key)
	f.to = strconv.AppendInt(f.to, n, 10)
}

// appendMilliseconds appends a duration with three decimals.
func appendMilliseconds(to []byte, d time.Duration) []byte {
	us := max(d.Microseconds(), 0)
	to = strconv.AppendInt(to, us/1000, 10)
	us %= 1000
	return append(to, '.', byte('0'+us/100), byte('0'+us/10%10), byte('0'+us%10))
}

// withoutQuery returns a URL without its query and fragment.
func withoutQuery(url string) string {
	if i := strings.IndexAny(url, "?#"); i >= 0 {
		return url[:i]
	}
	return url
}

// appendCommonFields appends what a line of the Common Log Format has.
func appendCommonFields(to []byte, r *Request, now time.Time) []byte {
	to = r.Client.Addr().AppendTo(to)
	to = append(to, " - - ["...)
	to = now.AppendFormat(to, "02/Jan/2006:15:04:05 -0700")
	to = append(to, `] "`...)
	if r.Method != "" {
		to = appendShort(to, r.Method, maxMethod)
		to = append(to, ' ')
		to = appendPath(to, r.Path)
		to = append(to, ' ')
		to = appendShort(to, r.Proto, maxMethod)
	} else {
		to = append(to, '-') // a raw message, or what isn't HTTP
	}
	to = append(to, `" `...)
	to = strconv.AppendInt(to, int64(r.Status), 10)
	to = append(to, ' ')
	return strconv.AppendInt(to, r.Out, 10)
}

// appendPath appends the path of a request line, "-" if it isn't known. Paths are matched
// decoded but for %2F and %25. Here what can't be in a URL is escaped again, or else a
// client could shift the fields of the line by a blank in its path.
func appendPath(to []byte, path string) []byte {
	if path == "" {
		return append(to, '-')
	}
	for _, c := range []byte(path[:min(len(path), MaxPath)]) {
		if inPath[c] {
			to = append(to, c)
		} else {
			to = append(to, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return to
}

// inPath are the characters of a path that need no escape (RFC 3986, section 3.3), and the
// percent sign of those that are escaped.
var inPath = func() (t [256]bool) {
	for c := range t {
		t[c] = '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c < utf8.RuneSelf && strings.IndexByte("-._~!$&'()*+,;=:@/%", byte(c)) >= 0
	}
	return t
}()

// appendCommon appends the line of the format common, as nginx and Apache write it.
func appendCommon(to []byte, r *Request, now time.Time) []byte {
	return append(appendCommonFields(to, r, now), '\n')
}

// appendCombined appends the line of the format combined, which has the referer and
// the user agent too.
func appendCombined(to []byte, r *Request, now time.Time) []byte {
	to = appendCommonFields(to, r, now)
	for _, f := range [...]struct {
		text  string
		limit int
	}{{withoutQuery(r.Referer), MaxPath}, {r.Agent, maxAgent}} {
		to = append(to, ` "`...)
		if f.text == "" {
			to = append(to, '-')
		}
		to = appendShort(to, f.text, f.limit)
		to = append(to, '"')
	}
	return append(to, '\n')
}

func appendShort(to []byte, text string, limit int) []byte {
	return appendText(to, text[:min(len(text), limit)], false)
}

// appendText appends text between quotes, without characters that could end it, end
// the line, or change the direction of text. In JSON they become \u and four
// digits, else the bytes become \x and two, as with nginx.
func appendText(to []byte, text string, json bool) []byte {
	start := 0
	for i := 0; i < len(text); {
		c := text[i]
		if plain[c] {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if c >= utf8.RuneSelf && !unsafe(r) && (r != utf8.RuneError || size > 1) {
			i += size
			continue
		}
		to = append(to, text[start:i]...)
		switch {
		case !json:
			for _, b := range []byte(text[i : i+size]) {
				to = append(to, '\\', 'x', upperHex[b>>4], upperHex[b&15])
			}
		case c == '"', c == '\\':
			to = append(to, '\\', c)
		case c == '\n':
			to = append(to, `\n`...)
		case c == '\r':
			to = append(to, `\r`...)
		case c == '\t':
			to = append(to, `\t`...)
		default: // none of these is above U+FFFF
			to = append(to, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		}
		i += size
		start = i
	}
	return append(to, text[start:]...)
}

// plain are the ASCII characters that need no escape between quotes.
var plain = func() (t [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

const (
	hex      = "0123456789abcdef"
	upperHex = "0123456789ABCDEF"
)
