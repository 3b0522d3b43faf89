package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mkd/httpfield"
	"mkd/megaki"
)

// get is the command: one HTTP request in one message, with curl's flags.
type get struct {
	sender

	method     string
	headers    []string
	data       []dataPart
	form       []formField
	asQuery    bool // -G
	headAlone  bool // -I
	agent      string
	referer    string
	user       string
	cookies    []string
	pathAsIs   bool
	redirects  bool
	maxHops    int
	fail       bool
	failBody   bool
	include    bool
	output     string
	verbose    bool
	silent     bool
	showErrors bool
	maxTime    string
	writeOut   string

	in       io.Reader
	out, log io.Writer
	start    time.Time
	hops     int
}

func getCommand() *cobra.Command {
	var g get
	cmd := &cobra.Command{
		Use:   "get --server HOST:PORT --key FILE [flags] URL",
		Short: "Send an HTTP request, and print the response's body",
		Long: `Send one HTTP request as a message, and write the body of the response to
standard output. The flags have the meaning that they have in curl.

  sazukari get --server 127.0.0.1:6363 --key server.key.pub /index.html
  sazukari get ... -i https://example.org/search -G --data-urlencode 'q=a b'
  sazukari get ... -d name=Ann -d age=5 /people            a form, by POST
  sazukari get ... --json '{"name": "Ann"}' /people        JSON, by POST
  sazukari get ... -F photo=@me.jpg -F title=Me /photos    an upload
  sazukari get ... -X PUT --data-binary @page.html /page   the bytes of a file
  sazukari get ... -fsS -o report.pdf /report              for scripts

URL is a whole URL, or one without its scheme, or a path alone; then the host is
that of --server. Whatever its host, the request goes to --server, which chooses a
site by the host. That is so for redirects (-L), too. Passwords and cookies of -u,
-b and -H are not sent to another host. A redirect that turns a POST into a GET does
so even with -X.

With --session the session is kept in a file, and resumed the next time, which
saves the handshake. The file is a secret: whoever has it can act as this client.

The exit code is 0 whatever the status of the response, unless -f is given; 1 if
it failed; 2 for wrong usage.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("get takes one URL, got %d", len(args))
			}
			return nil
		},
	}
	g.register(cmd, false)
	f := cmd.Flags()
	f.StringVarP(&g.method, "request", "X", "", "`method` of the request")
	f.StringArrayVarP(&g.headers, "header", "H", nil, "`'Name: value'` to send; 'Name:' sends none, 'Name;' an empty one; @FILE has one a line")
	data := func(kind dataKind, name, letter, usage string) {
		f.VarP(dataFlag{kind, &g.data}, name, letter, usage)
	}
	data(dataText, "data", "d", "`text` to POST, or @FILE without its line ends, or @- for standard input; several are joined by &")
	data(dataBinary, "data-binary", "", "`text` to POST, or @FILE byte for byte")
	data(dataRaw, "data-raw", "", "`text` to POST, which may begin with @")
	data(dataEscape, "data-urlencode", "", "`name=text` to POST, the text escaped; or name@FILE")
	data(dataJSON, "json", "", "`JSON` to POST, or @FILE, as application/json")
	f.BoolVarP(&g.asQuery, "get", "G", false, "put the data into the query, and GET")
	f.VarP(formFlag{false, &g.form}, "form", "F", "`name=text` of a form to POST as multipart/form-data; name=@FILE uploads a file, name=<FILE has its text; then may come ;type=TYPE and ;filename=NAME")
	f.Var(formFlag{true, &g.form}, "form-string", "`name=text` of a form, whatever the text looks like")
	f.BoolVarP(&g.headAlone, "head", "I", false, "HEAD: print the head alone")
	f.StringVarP(&g.agent, "user-agent", "A", "", "`name` of the client")
	f.StringVarP(&g.referer, "referer", "e", "", "`URL` that led here")
	f.StringVarP(&g.user, "user", "u", "", "`name:password` for basic authentication")
	f.StringArrayVarP(&g.cookies, "cookie", "b", nil, "`'name=value'` of cookies")
	f.BoolVar(&g.pathAsIs, "path-as-is", false, "leave /./ and /../ in the path")
	f.BoolVarP(&g.redirects, "location", "L", false, "follow redirects")
	f.IntVar(&g.maxHops, "max-redirs", 10, "`number` of redirects to follow")
	f.BoolVarP(&g.fail, "fail", "f", false, "fail at a status of 400 and up, without output")
	f.BoolVar(&g.failBody, "fail-with-body", false, "fail at a status of 400 and up, with output")
	f.BoolVarP(&g.include, "include", "i", false, "print the head of the response, too")
	f.StringVarP(&g.output, "output", "o", "", "`file` to write to; - is standard output, even for binary data on a terminal")
	f.BoolVarP(&g.verbose, "verbose", "v", false, "print the session and the heads on standard error")
	f.BoolVarP(&g.silent, "silent", "s", false, "print no notes and no error messages")
	f.BoolVarP(&g.showErrors, "show-error", "S", false, "print error messages even with -s")
	f.StringVarP(&g.maxTime, "max-time", "m", "", "--timeout in `seconds`")
	f.StringVarP(&g.writeOut, "write-out", "w", "", "`format` of what to print after the body: "+writeOutHelp)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		g.in, g.out, g.log, g.start = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr(), time.Now()
		err := g.run(cmd.Context(), args[0])
		if err != nil && g.silent && !g.showErrors {
			return quietError{err}
		}
		return err
	}
	return cmd
}

func (g *get) run(ctx context.Context, url string) error {
	if err := g.setTime(); err != nil {
		return err
	}
	if g.maxHops < 0 {
		return usage("--max-redirs %d: want 0 or more", g.maxHops)
	}
	if err := g.prepare(g.log); err != nil {
		return err
	}
	r, err := g.request(url)
	if err != nil {
		return err
	}
	ctx, cancel := g.bounded(ctx)
	defer cancel()
	a, heads, err := g.roundTrips(ctx, r)
	if err != nil {
		return err
	}
	failed := error(nil)
	if (g.fail || g.failBody) && a.StatusCode >= 400 {
		failed = fmt.Errorf("%s: the server responded %s", &r.target, a.Status)
	}
	out := a.body
	if g.headAlone || g.include {
		out = append(heads, a.body...)
	}
	if g.fail && failed != nil {
		out = nil
	} else if err := g.write(out, a.body); err != nil {
		return err
	}
	if g.writeOut != "" {
		if _, err := io.WriteString(g.out, g.formatted(r, a)); err != nil {
			return err
		}
	}
	return failed
}

func (g *get) setTime() error {
	if g.maxTime == "" {
		return nil
	}
	seconds, err := strconv.ParseFloat(g.maxTime, 64)
	if err != nil || !(seconds > 0 && seconds < 1e9) {
		return usage("--max-time %q: want a number of seconds, as 2.5", g.maxTime)
	}
	g.timeout = time.Duration(seconds * float64(time.Second))
	return nil
}

// request makes the request of the flags.
func (g *get) request(url string) (*request, error) {
	r := new(request)
	var err error
	if r.target, err = parseTarget(url, g.server.address, g.pathAsIs); err != nil {
		return nil, usageError{err}
	}
	files := &files{stdin: g.in, left: g.cfg.MaxMessage, limit: g.cfg.MaxMessage}
	if err := g.addHeaders(r, files); err != nil {
		return nil, err
	}
	if err := g.addBody(r, files); err != nil {
		return nil, err
	}
	if g.method != "" {
		if !httpfield.IsToken(g.method) {
			return nil, usage("-X %q: want a method, which is one word", g.method)
		}
		r.method = g.method
	}
	return r, nil
}

// addHeaders adds the fields of the flags. -H overrides the others.
func (g *get) addHeaders(r *request, files *files) error {
	for _, h := range g.headers {
		lines := []string{h}
		if name, ok := strings.CutPrefix(h, "@"); ok {
			data, err := files.read(name)
			if err != nil {
				return err
			}
			lines = strings.FieldsFunc(string(data), func(r rune) bool { return r == '\r' || r == '\n' })
		}
		for _, line := range lines {
			f, err := parseHeader(line)
			if err != nil {
				return usageError{err}
			}
			if f.is("Host") && !f.drop {
				r.target.host = f.value // a redirect to it needs no note
				continue
			}
			r.fields = append(r.fields, f)
		}
	}
	user := g.user
	if user == "" {
		user = r.target.user
	}
	if user != "" {
		if !strings.Contains(user, ":") {
			return usage("-u: want name:password")
		}
		r.set(field{name: "Authorization", value: "Basic " + base64.StdEncoding.EncodeToString([]byte(user)), secret: true})
	}
	for _, c := range g.cookies {
		if !strings.Contains(c, "=") {
			return usage("-b %q: want name=value; cookies are not read from files", c)
		}
	}
	for _, f := range []struct{ flag, name, value string }{
		{"-A", "User-Agent", g.agent}, {"-e", "Referer", g.referer}, {"-b", "Cookie", strings.Join(g.cookies, "; ")},
	} {
		if f.value == "" {
			continue
		}
		parsed, err := parseHeader(f.name + ": " + f.value)
		if err != nil {
			return usage("%s: want no control characters", f.flag)
		}
		r.set(parsed)
	}
	return nil
}

// addBody adds the body, and sets the method that goes with it.
func (g *get) addBody(r *request, files *files) (err error) {
	r.method = "GET"
	if g.headAlone {
		r.method = "HEAD"
	}
	kind, accept := "", ""
	switch {
	case len(g.form) > 0 && (len(g.data) > 0 || g.asQuery):
		return usage("-F is a form of its own: -d and -G don't go with it")
	case g.headAlone && !g.asQuery && (len(g.form) > 0 || len(g.data) > 0):
		return usage("-I has no body: -d goes with it only together with -G, and -F not at all")
	case len(g.form) > 0:
		r.body, kind, err = encodeForm(g.form, files)
	case len(g.data) > 0:
		if r.body, err = joinData(g.data, files); err != nil {
			return err
		}
		if g.asQuery {
			r.target.addQuery(string(r.body))
			r.body = nil
			return nil
		}
		kind = "application/x-www-form-urlencoded"
		for _, p := range g.data {
			if p.kind == dataJSON {
				kind, accept = "application/json", "application/json"
			}
		}
	default:
		return nil
	}
	if err != nil {
		return err
	}
	r.method, r.hasBody = "POST", true
	r.set(field{name: "Content-Type", value: kind})
	if accept != "" {
		r.set(field{name: "Accept", value: accept})
	}
	return nil
}

// roundTrips sends the request, and follows redirects with -L. It returns the last
// response, and the heads of all of them.
func (g *get) roundTrips(ctx context.Context, r *request) (a *response, heads []byte, err error) {
	first := r.target.host
	for {
		if a, err = g.roundTrip(ctx, r); err != nil {
			return nil, nil, err
		}
		heads = append(heads, a.head...)
		location, ok := a.location()
		if !ok || !g.redirects {
			return a, heads, nil
		}
		if g.hops++; g.hops > g.maxHops {
			return nil, nil, fmt.Errorf("more than %d redirects; the last one leads to %q", g.maxHops, location)
		}
		next, err := r.target.follow(location, g.pathAsIs)
		if err != nil {
			return nil, nil, err
		}
		if next.host != r.target.host && !g.silent {
			fmt.Fprintf(g.log, "sazukari: note: a redirect leads to the host %s; the request goes to the same Megaki server\n", next.host)
		}
		r.follow(next, a.StatusCode, first)
	}
}

func (g *get) roundTrip(ctx context.Context, r *request) (*response, error) {
	msg, head := r.message()
	if len(msg) > g.cfg.MaxMessage {
		return nil, fmt.Errorf("the request has %d bytes, more than --max-message, %d", len(msg), g.cfg.MaxMessage)
	}
	if g.verbose {
		g.began = func(c *megaki.Conn) {
			how := "a new session"
			if c.Resumed() {
				how = "the session is resumed"
			}
			fmt.Fprintf(g.log, "* %s: %s; its token is %s\n", g.server.address, how, c.Session().Token)
			g.logHead("> ", msg[:head])
		}
	}
	got, err := g.send(ctx, msg)
	if err != nil {
		var long *megaki.TooLongError
		if errors.As(err, &long) {
			return nil, fmt.Errorf("%w; --max-message sets the limit here", err)
		}
		return nil, err
	}
	a, err := parseResponse(got, r.method)
	if err == nil && g.verbose {
		g.logHead("< ", a.head)
	}
	return a, err
}

func (g *get) logHead(mark string, head []byte) {
	for line := range bytes.Lines(head) {
		fmt.Fprintf(g.log, "%s%s\n", mark, bytes.TrimRight(line, "\r\n"))
	}
}

// write writes out. It refuses to write a binary body to a terminal.
func (g *get) write(out, body []byte) error {
	if g.output != "" && g.output != "-" {
		return writeOutput(g.output, out)
	}
	if g.output == "" && isTerminal(os.Stdout) && isBinary(body) {
		return errors.New("the body is binary, and could garble the terminal; write it with -o FILE, or here with -o -")
	}
	_, err := g.out.Write(out)
	return err
}
