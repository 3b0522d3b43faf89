// Package process starts child processes of the daemon, gives them an identity
// and an environment, logs what they print, and reaps them.
//
// A Spawner starts processes of one identity, from one OS thread of its own. Each
// process leads a process group, is killed when the daemon dies, however it
// dies, and takes the processes of its group with it.
package process
