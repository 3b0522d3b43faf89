// Package php runs PHP scripts in a pool of long-lived PHP-CLI processes. In
// the original the pool was called Pegasus, and the loop inside a process
// Arcangelo; that loop is in the folder arcangelo, and is built in.
//
// A Pool keeps its workers in order: it starts them, hands each of them one
// call at a time, replaces those that die, hang, grow or have served enough,
// and bounds how long a call waits and takes. Whatever is doubtful about a
// worker ends that worker, and only the call that it had sees an error.
//
// A Call is a raw message for a script's on_handle, an HTTPCall an HTTP request
// for its on_http. Forms with files are parsed here; their files lie in a folder
// of the workers' user until the request is over. docs/php.md is for those who
// write scripts.
//
// Calls and answers travel in frames over two pipes of the worker's own; see
// docs/worker-frames.md.
package php
