// Package route has the handler of all listeners. It finds the route of a request,
// checks the route's limits, changes the request as the route demands, and hands it
// to the route's backend. It is where a request ends: it responds with errors, and
// writes the access line.
package route
