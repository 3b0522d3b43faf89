// Package fastcgi is a FastCGI client in the responder role, as an
// http.RoundTripper: it sends a request to PHP-FPM or its like over TCP or a unix
// socket, and returns its response as a stream.
//
// Its sources are the FastCGI Specification 1.0 and RFC 3875 (CGI/1.1). Where
// they leave a choice, it is made by what PHP-FPM does:
//
//   - Connections are kept only if Transport.KeepAlive is set: a kept one
//     occupies a worker of PHP-FPM, even while it is idle. A server is dialled
//     only when the request is ready: PHP-FPM closes a silent connection after 5 s.
//   - PHP runs a script even if the request is cut off, with a body that is cut
//     or empty. So a request needs to have its length, and a caller should have
//     received its body before it comes here.
//   - A name and its value are in one record, since PHP-FPM ends a connection
//     over which they come in pieces.
//   - After fastcgi_finish_request() the response is complete and a kept
//     connection looks idle, though the script goes on. The next request on it
//     then waits for the script's end, within Transport.ResponseTimeout. Nothing
//     on the wire shows such a connection: where scripts do so, KeepAlive should
//     stay 0.
//
// A response is complete if its END_REQUEST record came, and never otherwise: all
// else makes RoundTrip, or Read of the response's body, fail with a
// *roundtrip.Error. A request is sent once.
package fastcgi
