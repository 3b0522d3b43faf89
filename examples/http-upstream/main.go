// Command http-upstream is a small REST service to try mkd with. It reports what
// it received, and from whom.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	address := "127.0.0.1:9000"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	http.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "well")
	})
	http.HandleFunc("GET /hello", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %s\n", r.Header.Get("X-Forwarded-For"))
	})
	http.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
	})
	http.HandleFunc("GET /internal/secret", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "secret")
	})
	log.Fatal(http.ListenAndServe(address, nil))
}
