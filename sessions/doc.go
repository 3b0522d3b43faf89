// Package sessions has what the stores of Megaki sessions outside of memory have in
// common: the sealing of records, and the Guard that keeps a slow or failing store
// from delaying connections. Package sessions/file keeps sessions in a file, package
// sessions/redis in Redis or Valkey, for several servers.
//
//	sealer, err := sessions.NewSealer(secret)
//	store, err := redis.New(redis.Options{Addresses: []string{"127.0.0.1:6379"}, Sealer: sealer})
//	guard := sessions.NewGuard(store, sessions.GuardOptions{})
//	server := &megaki.Server{Sessions: guard, ...}
//
// A record is sealed, because its keys are those of live sessions: whoever can only
// read the store learns no key, and whoever can write to it can make clients do a
// handshake, and nothing else. He can't make a session, nor give one's record to
// another. Putting an older record back is no more: its keys are either in use by the
// client alone, or forgotten.
package sessions
