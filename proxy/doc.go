// Package proxy is the daemon: it opens the doors that config.yaml names, takes
// requests in, finds their route, and has a backend answer them. In the original
// this layer was called Yugi.
//
// A request goes one way:
//
//	megakidoor, webdoor   a door makes an exchange of it
//	gate, client, route   what is checked, who asks, which route
//	respond, redirect     answers without a backend
//	phpbackend            package php: PHP workers
//	fastcgibackend        package fastcgi, package cgi; files by package site
//	httpbackend           package balance over package upstream
//	filesbackend          package site
//	messageanswer,        the way back: into a Megaki message, or to a client of
//	webAnswer             HTTP
//
// What all backends have in common stands beside them: forward (headers, copying),
// spool (bodies that have to be whole), relay (answers ahead of slow clients),
// tunnel (other protocols), compress, status (the one place that decides the
// status of an error) and logs.
//
// Build makes a Proxy of a config.Config; it is the one place that knows which
// adapter belongs to which kind of backend. A new kind of backend is two
// files: its section in package config, and its adapter here.
package proxy
