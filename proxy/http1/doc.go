// Package http1 serves HTTP/1.1 and HTTP/1.0 to clients (RFC 9112).
//
// It does the work of net/http's server for one protocol version, with three
// differences. The request, its header and the response live with the
// connection and are used again. A request's framing is never lost:
// a request that could be read in two ways is refused, and no byte of a body
// is ever read as a request. A response that is written before the request's
// body has ended closes the connection in stages, so that the client receives
// the response and not a reset.
//
// A connection goes through these files:
//
//	server    keeps track of connections
//	conn      reads one head after the other and calls the handler
//	body      the request's body: framing, deadlines, 100 (Continue)
//	context   the request's context, which ends when the client leaves
//	response  the http.ResponseWriter: status, header, framing
//	output    bytes to the socket
//	linger    the end of a connection in stages
package http1
