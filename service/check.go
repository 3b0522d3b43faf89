package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mkd/config"
	"mkd/proxy"
)

// Report is what a check has found. Each finding is one line or more, and begins
// with its place.
type Report struct {
	Config   *config.Config // nil if it can't be read
	Errors   []string       // mkd wouldn't start
	Warnings []string
}

// Check checks a configuration file, and changes nothing. With boot it starts one
// worker of each PHP script, and ends it.
func Check(ctx context.Context, file string, boot bool) *Report {
	r := new(Report)
	cfg, err := config.Load(file)
	if err != nil {
		r.addErrors(err)
		return r
	}
	r.Config = cfg
	for _, w := range cfg.Warnings {
		r.Warnings = append(r.Warnings, w.Error())
	}
	more, err := proxy.Check(cfg)
	if err != nil {
		r.addErrors(err)
	}
	r.Warnings = append(r.Warnings, more...)

	// What is logged while the daemon is built are findings too.
	var logged bytes.Buffer
	logs, err := proxy.NewLogs(config.Log{Level: "warn", Format: "json"}, &logged)
	if err != nil {
		r.addErrors(err)
		return r
	}
	if _, err = proxy.New(cfg, logs); err != nil {
		r.addErrors(err)
	} else {
		errs, warnings := proxy.Probe(ctx, cfg, boot, logs)
		r.Errors = append(r.Errors, errs...)
		r.Warnings = append(r.Warnings, warnings...)
	}
	logs.Close() // writes what is queued
	for line := range bytes.Lines(logged.Bytes()) {
		r.Warnings = append(r.Warnings, readable(line))
	}
	return r
}

// addErrors adds the errors that an error holds.
func (r *Report) addErrors(err error) {
	var list config.Errors
	if errors.As(err, &list) {
		for _, e := range list {
			r.Errors = append(r.Errors, e.Error())
		}
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			r.addErrors(e)
		}
		return
	}
	r.Errors = append(r.Errors, err.Error())
}

// readable returns a line of the log in JSON as one for a person.
func readable(line []byte) string {
	var fields map[string]any
	if json.Unmarshal(line, &fields) != nil {
		return strings.TrimSpace(string(line))
	}
	var b strings.Builder
	fmt.Fprint(&b, fields["msg"])
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if key != "msg" && key != "level" && key != "time" {
			fmt.Fprintf(&b, ", %s %v", key, fields[key])
		}
	}
	return b.String()
}
