// Package auth lets only clients pass that prove who they are: by a name and a
// password, by a token that is signed, or before a server that is asked. What is
// expensive is bounded, and clients that fail are slowed down by their address.
package auth
