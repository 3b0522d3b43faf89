// Package proxy is the daemon. It assembles the packages below it, and runs them. In
// the original this layer was called Yugi.
//
// A request goes one way, and imports point the same way:
//
//	listener      sockets to requests: Megaki, HTTP, HTTPS; and the ways back
//	route         the handler of all listeners: match, limits, rewrite
//	backend       one file a kind: php, fastcgi, http, files
//	forward       what all backends share: header rules, bodies, slow clients
//	upstream, fastcgi, php   the clients of servers and workers
//
// Package request has what these hand to each other. Daemon is what outlives a
// configuration, such as sockets and sessions; a generation is what one
// configuration makes of requests, its routes and backends.
package proxy
