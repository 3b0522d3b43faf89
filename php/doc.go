// Package php runs PHP scripts in a pool of long-lived PHP-CLI processes. The
// original calls the pool Pegasus, and the loop inside a process Arcangelo; that
// loop is in the folder arcangelo and is embedded.
//
// A Pool starts workers, sends each of them one call at a time, replaces those
// that die, hang, grow or expire, and bounds how long a call waits and takes. A
// worker that misbehaves in any way is killed, and only the call that it had
// fails. Clients take turns when calls wait for a worker.
//
// A Call is a raw message for a script's on_handle, an HTTPCall an HTTP request
// for its on_http. This package parses forms with files; the files are in a folder
// of the workers' user until the request ends. docs/php.md is for authors of
// scripts.
//
// Calls and responses are sent in frames over two pipes of each worker; see
// docs/worker-frames.md.
package php
