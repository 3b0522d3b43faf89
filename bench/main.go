package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// options of a run.
type options struct {
	mkd      string        // the binary
	pattern  string        // of the lines to run
	duration time.Duration // of each round
	rounds   int
	conns    int
	caddy    string // the binary; "": Caddy isn't compared
	profile  string // file for a CPU profile of mkd, which then runs alone
}

func run() error {
	var o options
	flag.StringVar(&o.mkd, "mkd", "bin/mkd", "the mkd `binary`")
	flag.StringVar(&o.pattern, "line", "", "run only lines that match this `regexp`")
	flag.DurationVar(&o.duration, "time", 3*time.Second, "`duration` of a round")
	flag.IntVar(&o.rounds, "rounds", 5, "`number` of rounds")
	flag.IntVar(&o.conns, "conns", 8, "`number` of connections")
	flag.StringVar(&o.caddy, "caddy", "", "the Caddy `binary` to compare with; none if empty")
	flag.StringVar(&o.profile, "profile", "", "run mkd alone, and write its CPU profile to `file`")
	flag.Parse()
	switch args := flag.Args(); {
	case len(args) == 3 && args[0] == "relay":
		return relay(args[1], args[2])
	case len(args) == 2 && args[0] == "accept":
		return accept(args[1])
	}
	pattern, err := regexp.Compile("(?i)" + o.pattern)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir, err := os.MkdirTemp("", "mkd-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.caddy != "" {
		if o.caddy, err = filepath.Abs(o.caddy); err != nil {
			return err
		}
	}
	if o.profile != "" {
		if o.profile, err = filepath.Abs(o.profile); err != nil {
			return err
		}
	}
	p, err := newPark(ctx, dir, &o)
	if err != nil {
		return err
	}
	defer p.stop()

	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "work\tserver\trequests/s\tp50\tp99\tCPU/request\tto peer\t")
	for _, l := range p.lines() {
		if !pattern.MatchString(l.name) {
			continue
		}
		if o.profile != "" {
			l.servers = l.servers[:1]
		}
		fmt.Fprintf(os.Stderr, "%s: %d rounds of %v for each of %s\n", l.name, o.rounds, o.duration, l.names())
		if err := l.run(ctx, &o, out); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		out.Flush()
	}
	if o.profile != "" {
		return nil
	}
	for _, r := range p.reports() {
		if pattern.MatchString(r.name) {
			fmt.Printf("\n%s\n", r.name)
			if err := r.run(ctx, &o, os.Stdout); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	return nil
}

// line is one comparison: the same work by several servers. The first is mkd,
// the second its peer.
type line struct {
	name    string
	servers []*contender
}

// contender is a server that does the work of a line.
type contender struct {
	name string
	pids []int // whose CPU time counts, with their children's
	// dial returns a function that makes one request and reads the response.
	dial  func(ctx context.Context) (ask func() error, close func(), err error)
	conns int // 0: those of options

	asks   []func() error // of the connections
	closes []func()
}

func (l *line) names() string {
	var names []string
	for _, c := range l.servers {
		names = append(names, c.name)
	}
	return strings.Join(names, ", ")
}

func (l *line) run(ctx context.Context, o *options, out *tabwriter.Writer) error {
	rounds := make([][]round, len(l.servers))
	for _, c := range l.servers {
		if err := c.connect(ctx, cmp.Or(c.conns, o.conns)); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		defer c.close()
	}
	for i := range o.rounds + 1 {
		for j, c := range l.servers {
			duration := o.duration
			if i == 0 {
				duration = o.duration / 4 // to warm up
			}
			r, err := c.round(ctx, duration)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if i > 0 {
				rounds[j] = append(rounds[j], r)
			}
		}
	}
	for j, c := range l.servers {
		ratio := ""
		if j == 0 && len(l.servers) > 1 {
			var ratios []float64
			for i := range rounds[0] {
				ratios = append(ratios, float64(rounds[0][i].cpu)/float64(rounds[1][i].cpu))
			}
			slices.Sort(ratios)
			ratio = fmt.Sprintf("%.2f (%.2f to %.2f)", ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1])
		}
		fmt.Fprintf(out, "%s\t%s\t%.0f\t%v\t%v\t%.1f µs\t%s\t\n", l.name, c.name,
			median(rounds[j], func(r round) float64 { return r.rate }),
			time.Duration(median(rounds[j], func(r round) float64 { return float64(r.p50) })).Round(10*time.Microsecond),
			time.Duration(median(rounds[j], func(r round) float64 { return float64(r.p99) })).Round(10*time.Microsecond),
			median(rounds[j], func(r round) float64 { return float64(r.cpu.Nanoseconds()) / 1000 }), ratio)
	}
	return nil
}

func median(rounds []round, of func(round) float64) float64 {
	var all []float64
	for _, r := range rounds {
		all = append(all, of(r))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
