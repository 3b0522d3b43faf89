// Package upstream is an HTTP/1.1 client of one server, as an
// http.RoundTripper: it keeps a pool of connections over TCP, TLS or a unix
// socket, and gives answers back as streams.
//
// Its sources are RFC 9110 (HTTP semantics) and RFC 9112 (HTTP/1.1). It is made
// for a proxy, and differs from http.Transport in this:
//
//   - One goroutine carries a request through: it takes a connection, writes,
//     and reads. Only a long request body is sent by a second one.
//   - It sends what it is given, and adds no field of its own but those that
//     frame the message. What can't be sent safely is refused before a byte is.
//   - It sends a request once. It begins anew only if a kept connection was
//     found closed before a byte was written; for all else the *Error tells how
//     far the request had come, and whoever chooses the server may decide.
//   - It waits for what may take long with bounds: for a connection, for the
//     answer's head, and for each part of its body.
//   - A server isn't trusted: what frames an answer in two ways is refused, as
//     is a header that has a bad name, a control character or a folded line, and
//     what a server says without having been asked is never taken for an answer.
//
// An answer is whole if Read of its body returned io.EOF, and never otherwise:
// all else makes RoundTrip, or Read, fail with an *Error.
package upstream
