// Package upstream is an HTTP/1.1 client of one server, as an
// http.RoundTripper: it keeps a pool of connections over TCP, TLS or a unix
// socket, and returns responses as streams.
//
// Its sources are RFC 9110 (HTTP semantics) and RFC 9112 (HTTP/1.1). It is made
// for a proxy, and differs from http.Transport in this:
//
//   - One goroutine carries a request through: it takes a connection, writes,
//     and reads. Only a long request body is sent by a second one.
//   - It sends what it is given, and adds no field of its own but those that
//     frame the message. It refuses what can't be sent safely before it writes a
//     byte.
//   - It sends a request once. It takes another connection only if a kept one was
//     found closed before a byte was written; for all else the *roundtrip.Error
//     reports how far the request had come, and whoever chooses the server may
//     decide.
//   - It waits for what may take long with bounds: for a connection, for the
//     header of the response, and for each part of its body.
//   - It doesn't trust the server. It refuses a response that is framed in two
//     ways, and a header with a malformed name, a control character or a folded
//     line. What a server sends without having been asked is never taken for a
//     response.
//
// A response is complete if Read of its body returned io.EOF, and never
// otherwise: all else makes RoundTrip, or Read, fail with a *roundtrip.Error.
package upstream
