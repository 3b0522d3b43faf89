// Package roundtrip carries one request to a server, and its response back, over
// one connection: what the clients of HTTP and of FastCGI servers have in common.
// It knows neither protocol.
//
// A Trip bounds how long the server is waited for, by a timeout and by the
// request's context, and watches the context only in a long wait. It sends what
// the server doesn't take at once in a goroutine of its own, so that a server may
// respond before it has read the request. It can be aborted at any time. An Error
// reports how far a failed request had come: whoever chooses the servers decides
// by it whether the request may be sent again. A Trip sends a request once.
package roundtrip
