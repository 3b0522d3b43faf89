// Package admin is how people and commands reach the running daemon: an HTTP server
// on a unix socket, and its client.
//
// The daemon is a Control. This package knows no other part of it.
package admin
