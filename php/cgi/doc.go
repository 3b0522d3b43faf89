// Package cgi runs php-cgi, PHP's own FastCGI server, on a machine without
// PHP-FPM. Unmodified applications need nothing else: header(), setcookie() and
// move_uploaded_file() work as under any web server.
//
// # Processes
//
// A Server makes the listening socket itself and starts single processes of
// php-cgi that have it as descriptor 0 (FastCGI Specification 1.0, section 2.2).
// Each accepts one connection at a time from the common queue. So the socket
// outlives every process: a process that crashes costs the request that it had,
// and one that ends after MaxRequests costs nothing. Because each process is a
// child of the daemon, it is restarted with a backoff, ends when the daemon ends,
// however that happens, and leaves no children behind.
//
// The alternative is a php-cgi that forks its workers (PHP_FCGI_CHILDREN). It was
// measured with PHP 8.2 and rejected: if that parent is killed, its workers go on
// serving, and on SIGTERM it ends before they have finished. Neither the end of
// the daemon nor Shutdown would reach them. It has one advantage, an opcode cache
// in memory that its workers share. Here each process has its own, and loads what
// another one has compiled from a folder that belongs to User alone
// (opcache.file_cache). For a site of 300 files with 2 MB of source, which takes
// 100 ms to compile and 0.1 ms to load from the cache in memory, that costs
//
//   - 40 ms once in the life of each process, so 0.1 ms per request at 500
//     requests per process; 100 ms without the folder;
//   - 15 MiB more memory for each process (22 MiB instead of 7).
//
// A new process takes 30 ms until its first response. Where that matters, on a
// site with dozens of workers, PHP-FPM is the better choice.
//
// A Symfony application of 156 files, four processes each, 500 requests per process,
// in one run: 99 of 100 requests took at most 118 to 247 ms without the folder, 56
// to 67 ms with it, and 48 to 50 ms on PHP-FPM.
//
// # Shutdown
//
// Shutdown shuts the listening socket down for reading, in all processes at once
// (shutdown(2)): from then on connections are refused, and each process serves
// the requests in the queue before it ends by itself. No signal is needed. On
// SIGTERM php-cgi would finish its request as well, but sleep() in a script would
// return early.
//
// # Requests that hang
//
// The client decides how long a request may take: it closes the connection. PHP
// notices that only when it prints. Its max_execution_time counts computing only,
// not sleep(), a database lock or a slow host. For those there are
// default_socket_timeout and the timeouts of the database client; set them below
// the time limit of the client. Options.Linger is for what is left: a process
// that goes on for so long with a request whose client has left is killed.
//
// SO_PEERCRED doesn't show which process has which connection, since it reports
// the process that called listen(2). The kernel's list of sockets does
// (sock_diag(7)).
//
// # The socket
//
// The socket is in a folder that only the user of this process can enter, since
// whoever reaches it can run any file as a script. Processes of another user
// can't reach it either: they have its descriptor.
//
// A client must close its connection once it has the response: until then the
// process waits for it. A kept connection occupies a process.
package cgi
