// Package listener makes requests of what clients send, and brings the responses
// back. There is a file for each kind of listener:
//
//	megaki  messages of Megaki sessions, by package megaki
//	http    HTTP/1.1, by package http1
//	https   TLS, and behind it HTTP/1.1 or HTTP/2
//
// Each hands its requests to the current generation of the configuration, with
// a response of its own kind: message for Megaki, http1.Response for HTTP/1,
// http2Response for HTTP/2.
package listener
