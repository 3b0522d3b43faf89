package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"mkd/megaki"
)

// tlsConfig is that of a client. The certificate is the bench's own.
var tlsConfig = &tls.Config{ServerName: "localhost", InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}

// request is what each client sends: a head of a browser's size.
func request(target string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: localhost\r\n"+
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"+
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"+
		"Accept-Language: en-GB,en;q=0.5\r\n"+
		"Cookie: session=0123456789abcdef0123456789abcdef\r\n\r\n", target)
}

// overHTTP makes requests on a connection that is kept, and wants all of a body. The client
// costs little: it parses the first response, and expects all others to be as long.
func overHTTP(address, target string, secure *tls.Config, body string) func(context.Context) (func() error, func(), error) {
	say := request(target)
	return func(ctx context.Context) (func() error, func(), error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, nil, err
		}
		if secure != nil {
			c = tls.Client(c, secure)
		}
		counted := &counter{Reader: c}
		br := bufio.NewReaderSize(counted, 64<<10)
		var size int
		ask := func() error {
			if _, err := c.Write(say); err != nil {
				return err
			}
			if size > 0 {
				_, err := br.Discard(size)
				return err
			}
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				return err
			}
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("GET %s: %s", target, resp.Status)
			}
			got, err := io.ReadAll(resp.Body)
			if err != nil {
				return err
			}
			if string(got) != body {
				return fmt.Errorf("GET %s at %s: a body of %d bytes, which isn't the one of %d that is measured", target, address, len(got), len(body))
			}
			size = counted.n - br.Buffered()
			return nil
		}
		return ask, func() { c.Close() }, nil
	}
}

type counter struct {
	io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// megakiConfig returns the configuration of clients, which have one key in common.
func megakiConfig(key string) (megaki.Config, error) {
	pem, err := os.ReadFile(key)
	if err != nil {
		return megaki.Config{}, err
	}
	server, err := megaki.ParsePublicKey(pem)
	if err != nil {
		return megaki.Config{}, err
	}
	own, err := clientKey()
	return megaki.Config{ServerKey: server, ClientKey: own, HandshakeTimeout: time.Minute}, err
}

var clientKey = sync.OnceValues(megaki.GenerateKey)

// overMegaki sends a message in a session of its own, and wants a response that ends with
// body. One of HTTP must have the status 200.
func overMegaki(address, key string, message []byte, body string) func(context.Context) (func() error, func(), error) {
	return func(ctx context.Context) (func() error, func(), error) {
		config, err := megakiConfig(key)
		if err != nil {
			return nil, nil, err
		}
		c := &megaki.Client{Address: address, Config: config}
		want := []byte(body)
		ask := func() error {
			response, err := c.Send(ctx, message)
			if err != nil {
				return err
			}
			if bytes.HasPrefix(response, []byte("HTTP/1.1 ")) && !bytes.HasPrefix(response, []byte("HTTP/1.1 200 ")) {
				return fmt.Errorf("%.40q", response)
			}
			if !bytes.HasSuffix(response, want) {
				return fmt.Errorf("a response of %d bytes, which isn't the one that is measured", len(response))
			}
			return nil
		}
		return ask, func() { c.Close() }, nil
	}
}

// connectMegaki connects for each request, with a handshake or a resumption.
func connectMegaki(address, key string, resume bool) func(context.Context) (func() error, func(), error) {
	return func(ctx context.Context) (func() error, func(), error) {
		config, err := megakiConfig(key)
		if err != nil {
			return nil, nil, err
		}
		ask := func() error {
			c, err := megaki.Dial(ctx, "tcp", address, &config)
			if err != nil {
				return err
			}
			if resume {
				if config.Session != nil && !c.Resumed() {
					return errors.New("the server did a handshake in place of a resumption")
				}
				session := c.Session()
				config.Session = &session
			}
			return c.Close()
		}
		return ask, func() {}, nil
	}
}

// connectTLS does a TLS handshake for each request, without resumption.
func connectTLS(address string) func(context.Context) (func() error, func(), error) {
	return func(ctx context.Context) (func() error, func(), error) {
		d := tls.Dialer{Config: tlsConfig}
		ask := func() error {
			c, err := d.DialContext(ctx, "tcp", address)
			if err != nil {
				return err
			}
			return c.Close()
		}
		return ask, func() {}, nil
	}
}

// connectOnly connects, sends a packet, and receives one.
func connectOnly(address string) func(context.Context) (func() error, func(), error) {
	return func(ctx context.Context) (func() error, func(), error) {
		ask := func() error {
			var d net.Dialer
			c, err := d.DialContext(ctx, "tcp", address)
			if err != nil {
				return err
			}
			defer c.Close()
			packet := make([]byte, packetSize)
			if _, err := c.Write(packet); err != nil {
				return err
			}
			_, err = io.ReadFull(c, packet)
			return err
		}
		return ask, func() {}, nil
	}
}
