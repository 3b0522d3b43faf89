package handover

import (
	"context"
	"errors"
	"io"
	"net/rpc"

	"mkd/megaki"
)

// serviceName is the name of Owner in net/rpc.
const serviceName = "Sessions"

// Owner serves a store to the process that had the sessions before.
type Owner struct{ store megaki.SessionStore }

// Swap are the arguments of Owner.CompareAndSwap.
type Swap struct {
	Token     megaki.Token
	Old, Next *megaki.Record
}

// Found is a record that may be missing.
type Found struct{ Record *megaki.Record }

// Load is megaki.SessionStore.Load for net/rpc.
func (o *Owner) Load(t megaki.Token, found *Found) (err error) {
	found.Record, err = o.store.Load(context.Background(), t)
	return err
}

// CompareAndSwap is megaki.SessionStore.CompareAndSwap for net/rpc.
func (o *Owner) CompareAndSwap(s *Swap, swapped *bool) (err error) {
	*swapped, err = o.store.CompareAndSwap(context.Background(), s.Token, s.Old, s.Next)
	return err
}

// Serve serves a store to a Remote at the other end of a connection, until that closes
// it.
func Serve(conn io.ReadWriteCloser, store megaki.SessionStore) {
	server := rpc.NewServer()
	if err := server.RegisterName(serviceName, &Owner{store}); err != nil {
		panic(err) // the methods are wrong
	}
	server.ServeConn(conn)
}

// Remote is a megaki.SessionStore that another process has. It forgets no session by
// use: that is the owner's.
type Remote struct{ client *rpc.Client }

// NewRemote returns the store that is served at the other end of a connection.
func NewRemote(conn io.ReadWriteCloser) *Remote { return &Remote{rpc.NewClient(conn)} }

// Close closes the connection.
func (r *Remote) Close() error { return r.client.Close() }

// Load implements megaki.SessionStore.
func (r *Remote) Load(ctx context.Context, t megaki.Token) (*megaki.Record, error) {
	var found Found
	err := r.call(ctx, "Load", t, &found)
	return found.Record, err
}

// CompareAndSwap implements megaki.SessionStore.
func (r *Remote) CompareAndSwap(ctx context.Context, t megaki.Token, old, next *megaki.Record) (swapped bool, err error) {
	err = r.call(ctx, "CompareAndSwap", &Swap{t, old, next}, &swapped)
	return swapped, err
}

func (r *Remote) call(ctx context.Context, method string, args, result any) error {
	call := r.client.Go(serviceName+"."+method, args, result, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		return call.Error
	case <-ctx.Done():
		return errors.Join(errors.New("the process that owns the sessions doesn't respond"), context.Cause(ctx))
	}
}
