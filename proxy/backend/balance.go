package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"mkd/config"
	"mkd/proxy/balance"
	"mkd/proxy/httpmsg"
	"mkd/proxy/request"
	"mkd/proxy/roundtrip"
)

// balanceError gives an error of package balance or of its upstreams its kind.
func balanceError(err error) error {
	if err == nil {
		return nil
	}
	var down *balance.DownError
	switch {
	case errors.As(err, &down):
		return &request.Error{Kind: request.Down, Err: err, RetryAfter: max(down.RetryAfter, time.Second)}
	case errors.Is(err, roundtrip.ErrLongHeader):
		return fmt.Errorf("%w: %w", err, &httpmsg.Error{Status: http.StatusRequestHeaderFieldsTooLarge, Reason: "the header is longer than the backend takes"})
	case errors.Is(err, roundtrip.ErrBusy):
		return &request.Error{Kind: request.Busy, Err: err}
	case errors.As(err, new(*balance.UnreachableError)):
		return &request.Error{Kind: request.Down, Err: err}
	}
	return err
}

// keyOf returns what a request is hashed by, 0 if nothing.
func keyOf(c *config.Balance, r *request.Request) uint64 {
	switch c.By {
	case "ip_hash":
		addr := r.Client.Addr().Unmap()
		if !addr.IsValid() {
			return 0
		}
		if addr.Is4() {
			ip := addr.As4()
			return balance.Key(ip[:])
		}
		ip := addr.As16()
		return balance.Key(ip[:8]) // a /64
	case "header":
		value := r.Request.Host
		if !strings.EqualFold(c.Header, "Host") {
			value = r.Header.Get(c.Header)
		}
		if value != "" {
			return balance.Key([]byte(value))
		}
	}
	return 0
}

// newBalancer returns a balancer without upstreams.
func newBalancer(c *config.Balance, health *config.Health, log *slog.Logger) *balance.Balancer {
	maxFails := c.MaxFails
	if maxFails == 0 {
		maxFails = -1 // in package balance 0 is the default
	}
	return &balance.Balancer{
		By:          policy(c.By),
		MaxFails:    maxFails,
		FailTimeout: c.FailTimeout,
		Health:      healthOf(health),
		Logger:      log,
	}
}

// healthOf returns how often the balancer has servers asked. Without a check of
// theirs it asks none.
func healthOf(c *config.Health) balance.Health {
	if c == nil {
		return balance.Health{}
	}
	return balance.Health{Interval: c.Interval, Timeout: c.Timeout, Rise: c.Rise, Fall: c.Fall}
}

// maxHealthBody is how much of a response to a health check is read, so that its
// connection can be used again.
const maxHealthBody = 64 << 10

// checkHealth asks a server whether it is well.
func checkHealth(ctx context.Context, server http.RoundTripper, u *url.URL, c *config.Health) error {
	r := (&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"User-Agent": {"mkd (health check)"}}}).WithContext(ctx)
	for name, value := range c.Headers {
		if strings.EqualFold(name, "Host") {
			r.Host = value
		} else {
			r.Header.Set(name, value)
		}
	}
	resp, err := server.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.CopyN(io.Discard, resp.Body, maxHealthBody); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if c.Status != 0 && resp.StatusCode != c.Status || c.Status == 0 && resp.StatusCode >= 400 {
		return fmt.Errorf("GET %s has the status %d", c.Path, resp.StatusCode)
	}
	return nil
}
