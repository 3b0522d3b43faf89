package php

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

// TestRunOnce: a message is handled as what it is, however its lines end.
func TestRunOnce(t *testing.T) {
	path := script(t, `$ARCANGELO_USERSPACE = [
		'on_handle' => fn () => 'raw: ' . arca::$request,
		'on_http' => function ($r) {
			arca\Response::earlyHints(['X-Early' => '1']);
			if ($r->path === '/after') { arca\finish('first'); arca::log('after'); return; }
			if ($r->path === '/throw') { throw new Exception('thrown on purpose'); }
			return "$r->method $r->target $r->clientIp {$r->header('x-a')} [{$r->body()}]";
		}];`)
	for message, want := range map[string]string{
		"GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-A: v\r\n\r\n": "GET /a?b=c 127.0.0.1 v []",
		"GET / HTTP/1.0\n\n":                                                                             "GET / 127.0.0.1  []",
		"POST / HTTP/1.1\nHost: x\n\nall\n\nof it\n":                                                     "POST / 127.0.0.1  [all\n\nof it\n]",
		"POST / HTTP/1.1\r\nHost: x\r\n\r\na\r\n\r\nb":                                                   "POST / 127.0.0.1  [a\r\n\r\nb]",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nabc":                                     "POST / 127.0.0.1  [ab]",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n": "POST / 127.0.0.1  [abc]",
		"GET /after HTTP/1.1\r\nHost: x\r\n\r\n":                                                         "first",
		"a message":                                                                                      "raw: a message",
		"GET / HTTP/2.0\r\n\r\n":                                                                         "raw: GET / HTTP/2.0\r\n\r\n",
		"":                                                                                               "raw: ",
	} {
		var out bytes.Buffer
		if err := RunOnce(t.Context(), Options{Script: path}, []byte(message), &out); err != nil {
			t.Errorf("%q: %v", message, err)
			continue
		}
		_, body, isHTTP := strings.Cut(out.String(), "\r\n\r\nHTTP/1.1 200 OK\r\n")
		if _, after, found := strings.Cut(body, "\r\n\r\n"); isHTTP && found {
			body = after
		} else {
			body = out.String()
		}
		if body != want || isHTTP != !strings.HasPrefix(want, "raw") || isHTTP && !strings.HasPrefix(out.String(), "HTTP/1.1 103 Early Hints\r\nX-Early: 1") {
			t.Errorf("%q: %q, want %q", message, &out, want)
		}
	}
	var script *ScriptError
	err := RunOnce(t.Context(), Options{Script: path}, []byte("GET /throw HTTP/1.1\r\nHost: x\r\n\r\n"), new(bytes.Buffer))
	if !errors.As(err, &script) || !strings.Contains(script.Message, "thrown on purpose") {
		t.Errorf("a script that throws: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := RunOnce(ctx, Options{Script: path}, nil, new(bytes.Buffer)); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}
