package httpclient_test

import (
	"crypto"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"

	"mkd/megaki"
	"mkd/megaki/httpclient"
)

func Example() {
	key, err := megaki.GenerateKey()
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	// A server of one page; mkd is one of many.
	server := &megaki.Server{
		Keys: []crypto.Decrypter{key},
		Handler: megaki.HandlerFunc(func(w *megaki.ResponseWriter, r *megaki.Request) error {
			_, err := w.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
			return err
		}),
	}
	go server.Serve(l)
	defer server.Close()

	client := &http.Client{Transport: &httpclient.Transport{
		Address: l.Addr().String(),
		Config:  megaki.Config{ServerKey: &key.PublicKey},
	}}
	defer client.CloseIdleConnections()
	response, err := client.Get("https://example.org/")
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, %d bytes: %s\n", response.Status, response.ContentLength, body)
	// Output: 200 OK, 5 bytes: hello
}
