// Package cgi runs php-cgi, PHP's own FastCGI server, for a machine without
// PHP-FPM. Unmodified applications need nothing else: header(), setcookie() and
// move_uploaded_file() work as under any web server.
//
// # Processes
//
// A Server makes the listening socket itself, and starts single processes of
// php-cgi that have it as descriptor 0 (FastCGI Specification 1.0, section 2.2).
// Each takes one connection at a time from the common queue. So the socket
// outlives every process: one that crashes costs the request that it had, and
// one that ends after MaxRequests costs nothing. Because each is a child of the
// daemon's, it is restarted with a backoff, ends with the daemon however that
// ends, and leaves no children behind.
//
// The other way, a php-cgi that forks its workers (PHP_FCGI_CHILDREN), was
// measured with PHP 8.2 and left: if that parent is killed, its workers stay and
// go on answering, and on SIGTERM it ends before they have finished. Neither the
// daemon's end nor its Shutdown would reach them. It has one advantage, an opcode
// cache that its workers share. Here each process has a cache of its own. For a
// site of 300 files with 2 MB of source, which takes 100 ms to compile and 0.1 ms
// to load from the cache, that means
//
//   - 100 ms once in the life of each process, so 0.2 ms a request at 500 requests
//     a process; 40 ms if opcache.file_cache is set to a folder that belongs to
//     User and nobody else;
//   - 15 MiB more memory for each process (22 MiB in place of 7).
//
// A new process takes 30 ms until its first answer. Where that counts, on a
// site of dozens of workers, PHP-FPM is the better choice.
//
// # Ends
//
// Shutdown shuts the listening socket down for reading, in all processes at once
// (shutdown(2)): connections are refused from then on, and each process answers
// the requests in the queue, too, before it ends by itself. No signal is needed.
// On SIGTERM php-cgi would finish its request as well, but sleep() in a script
// returns early then.
//
// # Requests that hang
//
// How long a request may take is the client's decision: it closes the
// connection. PHP notices that only when it prints. Its max_execution_time counts
// computing only, not sleep(), a database's lock or a slow host, for which there
// is default_socket_timeout and the timeouts of the database's client; set them
// below the time limit of the client. Whatever is left is for Options.Linger: a
// process that goes on for so long with a request whose client is gone is killed.
//
// Which process has which connection isn't to be learnt from SO_PEERCRED, which
// tells who called listen(2). The kernel's list of sockets has it (sock_diag(7)).
//
// # The socket
//
// It lies in a folder that nobody but this process's user can enter, since
// whoever reaches it can run any file as a script. The processes, if they are
// another user's, can't reach it either: they have its descriptor.
//
// A client must close its connection once it has the answer: until then the
// process waits for it. A kept connection occupies a process.
package cgi
