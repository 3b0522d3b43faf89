// Command go-client sends a message, and gets a page: go-client 127.0.0.1:6363
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"mkd/megaki"
	"mkd/megaki/httpclient"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(address string) error {
	pem, err := os.ReadFile("server.key.pub")
	if err != nil {
		return err
	}
	key, err := megaki.ParsePublicKey(pem)
	if err != nil {
		return err
	}
	client := &megaki.Client{Address: address, Config: megaki.Config{ServerKey: key}}
	defer client.Close()
	response, err := client.Send(context.Background(), []byte("hello"))
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", response)

	web := http.Client{Transport: &httpclient.Transport{Address: address, Config: megaki.Config{ServerKey: key}}}
	page, err := web.Get("https://example.org/")
	if err != nil {
		return err
	}
	defer page.Body.Close()
	body, err := io.ReadAll(page.Body)
	fmt.Printf("%d %s", page.StatusCode, body)
	return err
}
