// Package proxy is the daemon: it opens the doors that config.yaml names,
// takes requests out of Megaki messages, finds their route, and has a backend
// answer them. In the original this layer was called Yugi.
//
// Build makes a Proxy of a config.Config; it is the one place that knows which
// adapter belongs to which kind of backend. A new kind of backend is two
// files: its section in package config, and its adapter here.
package proxy
