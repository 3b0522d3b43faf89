package megaki

import "testing"

// TestLastResponseCarriesTheEnd: a client that sends again as soon as it has the last
// response of a connection sees the end of the connection first. When the end came
// after the response, one such message in some hundreds was lost.
func TestLastResponseCarriesTheEnd(t *testing.T) {
	c := &Client{Address: start(t, &Server{MaxMessagesPerKey: 2}), Config: *clientConfig()}
	defer c.Close()
	for i := range 400 {
		if _, err := c.Send(t.Context(), []byte("x")); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
}
