// Command bench compares mkd with servers that do the same: the same
// work, the same backend, the same run. `make bench` runs it.
//
// What it compares is the CPU time that a request costs the server's processes:
// their user and system time from /proc, that of their children included,
// divided by the number of requests. On a machine whose cores are shared with
// the load, this figure is steadier than requests per second. Rounds of the servers are
// interleaved, and the table has medians; the last column is the ratio to the
// peer.
package main
