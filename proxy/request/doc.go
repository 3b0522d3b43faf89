// Package request has what the packages of the proxy hand to each other: the
// request, the response, the errors that a request can end with, and the one
// table of their statuses. It knows none of those that use it.
package request
