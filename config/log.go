package config

// Log configures what is logged, and how.
type Log struct {
	// The least level that is logged.
	Level string `yaml:"level" default:"info" oneof:"debug info warn error"`

	// Where the logs go: `stderr`, or a file.
	Output LogOutput `yaml:"output" example:"{file: VALUE}|mkd.log"`

	// `console` is for reading, `json` for machines; `auto` is `console` on a
	// terminal and `json` elsewhere.
	Format string `yaml:"format" default:"auto" oneof:"auto console json"`

	// The lines of requests: `true`, `false`, or how they are written.
	Access LogAccess `yaml:"access" example:"{format: combined}"`

	// The most such lines in a second; of requests that are refused or that
	// fail, the most is a tenth of it. Once three quarters of that are used,
	// those clients (IPv4 addresses, or IPv6 /64) that had the most have no
	// more. Lines beyond are dropped, and counted in the log. 0: no limit.
	AccessRate int `yaml:"access_rate" default:"5000" range:"0..1000000"`
}

// LogOutput is where the logs go. `output: stderr` is the default.
type LogOutput struct {
	// The log file, which mkd makes if need be, and appends to. `mkd reopen` and
	// SIGUSR1 open it anew, after logrotate has renamed it. Empty: standard error.
	File string `yaml:"file" default:"" path:"newfile"`

	// The mode of a file that mkd makes, in octal digits.
	Mode FileMode `yaml:"mode" default:"0640" range:"0200..0777"`
}

func (o *LogOutput) shortForms() []string { return []string{"stderr"} }
func (o *LogOutput) setShort(string)      { o.File = "" }

// LogAccess is about the lines of requests. `access: false` is the short form of
// `access: {enabled: false}`.
type LogAccess struct {
	// Whether each request makes a line, whatever the level. If not, only
	// requests that fail on this side do.
	Enabled bool `yaml:"enabled" default:"true"`

	// `json` and `console` have all that is known of a request; `common` and
	// `combined` are the formats of that name of nginx and Apache, for programs
	// that read these; a request that fails on this side then has a second line, in
	// `log.format`, with the error. `auto` is that of `log.format`.
	Format string `yaml:"format" default:"auto" oneof:"auto json combined common console"`
}

func (a *LogAccess) shortForms() []string { return []string{"true", "false"} }
func (a *LogAccess) setShort(text string) { a.Enabled = text == "true" }
