package handover

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"mkd/megaki"
)

// latentStore takes a second for an operation.
type latentStore struct{ *megaki.MemoryStore }

func (s latentStore) Load(ctx context.Context, t megaki.Token) (*megaki.Record, error) {
	time.Sleep(time.Second)
	return s.MemoryStore.Load(ctx, t)
}

func (s latentStore) CompareAndSwap(ctx context.Context, t megaki.Token, old, next *megaki.Record) (bool, error) {
	time.Sleep(time.Second)
	return s.MemoryStore.CompareAndSwap(ctx, t, old, next)
}

// TestFreezeAwaitsOperations: sessions don't move before the operations in flight have ended:
// what one of them writes afterwards would be lost.
func TestFreezeAwaitsOperations(t *testing.T) {
	for name, operate := range map[string]func(*Switch) error{
		"Load": func(s *Switch) error { _, err := s.Load(t.Context(), megaki.Token{1}); return err },
		"CompareAndSwap": func(s *Switch) error {
			_, err := s.CompareAndSwap(t.Context(), megaki.Token{1}, nil, record(1, time.Now().Add(time.Hour)))
			return err
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := NewSwitch(latentStore{megaki.NewMemoryStore(10)})
			ended := false
			go func() {
				if err := operate(s); err != nil {
					t.Error(err)
				}
				ended = true
			}()
			synctest.Wait()
			thaw := s.Freeze()
			synctest.Wait()
			if !ended {
				t.Errorf("%s is in flight", name)
			}
			thaw(nil)
		})
	}
}
