package handover

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
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

// Receive puts all sessions that Send writes into an empty store, but for those that
// have expired.
func Receive(dec *gob.Decoder, store megaki.SessionStore) (n int, err error) {
	for {
		var e entry
		if err := dec.Decode(&e); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return n, fmt.Errorf("taking over the sessions: %w", err)
		}
		if e.Record == nil {
			return n, nil
		}
		if !time.Now().Before(e.Record.Expires) {
			continue
		}
		if _, err := store.CompareAndSwap(context.Background(), e.Token, nil, e.Record); err != nil {
			return n, fmt.Errorf("taking over the sessions: %w", err)
		}
		n++
	}
}
