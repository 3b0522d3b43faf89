package megaki_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"log"
	"net"

	"mkd/megaki"
)

func Example() {
	// Made once, by `mkd keygen`; the client ships with the public half.
	key, err := megaki.GenerateKey()
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &megaki.Server{
		Keys: []crypto.Decrypter{key},
		Handler: megaki.HandlerFunc(func(w *megaki.ResponseWriter, r *megaki.Request) error {
			_, err := fmt.Fprintf(w, "message %d: you said %q", r.Count, r.Body)
			return err
		}),
	}
	go server.Serve(l)
	defer server.Shutdown(context.Background())

	ctx := context.Background()
	conn, err := megaki.Dial(ctx, "tcp", l.Addr().String(), &megaki.Config{ServerKey: &key.PublicKey})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	for _, message := range []string{"hello", "hello again"} {
		response, err := conn.RoundTrip(ctx, []byte(message))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", response)
	}
	// Output:
	// message 1: you said "hello"
	// message 2: you said "hello again"
}

// upper starts a server that responds in upper case, for the examples below.
func upper() (address string, key *rsa.PublicKey, stop func()) {
	private, err := megaki.GenerateKey()
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &megaki.Server{
		Keys: []crypto.Decrypter{private},
		Handler: megaki.HandlerFunc(func(w *megaki.ResponseWriter, r *megaki.Request) error {
			_, err := w.Write(bytes.ToUpper(r.Body))
			return err
		}),
	}
	go server.Serve(l)
	return l.Addr().String(), &private.PublicKey, func() { server.Close() }
}

// A Client connects when it has to, and keeps its session.
func ExampleClient() {
	address, serverKey, stop := upper()
	defer stop()

	client := &megaki.Client{Address: address, Config: megaki.Config{ServerKey: serverKey}}
	defer client.Close()
	for range 2 {
		response, err := client.Send(context.Background(), []byte("hello"))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", response)
		client.Close() // the next message resumes the session
	}
	// Output:
	// HELLO
	// HELLO
}

// A session can be kept, as a secret, and be resumed by another process.
func ExampleClient_Session() {
	address, serverKey, stop := upper()
	defer stop()

	client := &megaki.Client{Address: address, Config: megaki.Config{ServerKey: serverKey}}
	if _, err := client.Send(context.Background(), []byte("hello")); err != nil {
		log.Fatal(err)
	}
	kept, err := client.Session().MarshalBinary()
	if err != nil {
		log.Fatal(err)
	}
	client.Close()
	fmt.Println(len(kept), "bytes")

	session := new(megaki.Session)
	if err := session.UnmarshalBinary(kept); err != nil {
		log.Fatal(err)
	}
	conn, err := megaki.Dial(context.Background(), "tcp", address,
		&megaki.Config{ServerKey: serverKey, Session: session})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Println("resumed:", conn.Resumed())
	// Output:
	// 48 bytes
	// resumed: true
}

func ExampleDial() {
	address, serverKey, stop := upper()
	defer stop()

	conn, err := megaki.Dial(context.Background(), "tcp", address, &megaki.Config{ServerKey: serverKey, MaxMessage: 1000})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	var tooLong *megaki.TooLongError
	if _, err := conn.RoundTrip(context.Background(), make([]byte, 1001)); errors.As(err, &tooLong) {
		fmt.Println(tooLong)
	}
	response, err := conn.RoundTrip(context.Background(), []byte("it can still be used"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", response)
	// Output:
	// message of 1001 bytes is over the limit of 1000
	// IT CAN STILL BE USED
}
