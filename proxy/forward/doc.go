// Package forward has what all backends share: who the client is, the header
// rules of a proxy, bodies that are received whole (spool), responses that are
// received ahead of slow clients (relay), the route's timeout, tunnels,
// compression, and files that a response names.
package forward
