package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
)

// Client asks the daemon that serves an admin socket.
type Client struct {
	// Socket is the path of the unix socket.
	Socket string
}

// Reload makes the daemon read its configuration file anew. Like the other actions it
// returns what was done, as a line for a person.
func (c *Client) Reload(ctx context.Context) (string, error) { return c.post(ctx, "/reload", nil) }

// Upgrade hands the daemon's work over to the binary on disk.
func (c *Client) Upgrade(ctx context.Context) (string, error) { return c.post(ctx, "/upgrade", nil) }

// Drain drains the daemon, and stops it.
func (c *Client) Drain(ctx context.Context) (string, error) { return c.post(ctx, "/drain", nil) }

// SetMaintenance starts or ends maintenance, during which all requests get 503.
func (c *Client) SetMaintenance(ctx context.Context, on bool) (string, error) {
	return c.post(ctx, "/maintenance", url.Values{"on": {strconv.FormatBool(on)}})
}

// Reopen has the log file opened anew.
func (c *Client) Reopen(ctx context.Context) (string, error) { return c.post(ctx, "/reopen", nil) }

// RestartWorkers has the workers of a backend replaced, those of all if name is "".
func (c *Client) RestartWorkers(ctx context.Context, name string) (string, error) {
	return c.post(ctx, "/workers/restart", url.Values{"name": {name}})
}

// Get returns the content of a path, such as /status. The caller closes it.
func (c *Client) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	return c.do(ctx, http.MethodGet, path, nil)
}

// maxResult bounds the result of an action, in bytes.
const maxResult = 1 << 20

func (c *Client) post(ctx context.Context, path string, form url.Values) (string, error) {
	body, err := c.do(ctx, http.MethodPost, path, form)
	if err != nil {
		return "", err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, maxResult))
	return strings.TrimSuffix(string(text), "\n"), err
}

func (c *Client) do(ctx context.Context, method, path string, form url.Values) (io.ReadCloser, error) {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", c.Socket)
		},
		DisableKeepAlives: true,
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return nil, c.explain(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxResult))
	if resp.StatusCode != http.StatusUnprocessableEntity {
		return nil, fmt.Errorf("%s: %s of the running mkd: %s", resp.Status, path, strings.TrimSpace(string(text)))
	}
	return nil, errors.New(strings.TrimSuffix(string(text), "\n"))
}

// explain adds to the error of a socket what can be done about it.
func (c *Client) explain(err error) error {
	hint := ""
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		hint = "; mkd doesn't run with this configuration, or has another socket: name that with --admin (under systemd it is unix:/run/mkd/admin.sock)"
	case errors.Is(err, fs.ErrPermission):
		hint = "; only root and the user that mkd runs as can use it"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		hint = "; mkd ended before it responded: see its log"
	}
	return fmt.Errorf("admin socket %s: %w%s", c.Socket, cause(err), hint)
}
