package megaki_test

import (
	"testing"

	"mkd/internal/testserver/storetest"
	"mkd/megaki"
)

func TestMemoryStore(t *testing.T) {
	s := megaki.NewMemoryStore(200)
	storetest.Run(t, s, s)
}
