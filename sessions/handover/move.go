package handover

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"mkd/megaki"
)

// entry is a session on its way. The last one has no record.
type entry struct {
	Token  megaki.Token
	Record *megaki.Record
}

// Send writes all sessions of a store, which may be nil for none.
func Send(enc *gob.Encoder, store *megaki.MemoryStore) error {
	if store != nil {
		for t, r := range store.All() {
			if err := enc.Encode(entry{t, r}); err != nil {
				return fmt.Errorf("handing over the sessions: %w", err)
			}
		}
	}
	return enc.Encode(entry{})
}

// atOnce is how many sessions Receive puts into a store at once. One that writes to a disk
// or to another machine would take minutes for one after the other, and no client can
// resume meanwhile.
const atOnce = 128

// Receive puts all sessions that Send writes into an empty store, but for those that
// have expired. A MemoryStore gets them in their order, which is that of their last use.
func Receive(dec *gob.Decoder, store megaki.SessionStore) (n int, err error) {
	slots := make(chan struct{}, atOnce)
	if _, ordered := store.(*megaki.MemoryStore); ordered {
		slots = make(chan struct{}, 1)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var putting sync.WaitGroup
	for ctx.Err() == nil {
		var e entry
		if err := dec.Decode(&e); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			cancel(err)
			break
		}
		if e.Record == nil {
			break
		}
		if !time.Now().Before(e.Record.Expires) {
			continue
		}
		slots <- struct{}{}
		putting.Go(func() {
			defer func() { <-slots }()
			if _, err := store.CompareAndSwap(ctx, e.Token, nil, e.Record); err != nil {
				cancel(err)
			}
		})
		n++
	}
	putting.Wait()
	if err := context.Cause(ctx); err != nil {
		return n, fmt.Errorf("taking over the sessions: %w", err)
	}
	return n, nil
}
