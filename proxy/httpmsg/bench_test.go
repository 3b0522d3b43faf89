package httpmsg

import (
	"bufio"
	"bytes"
	"net/http"
	"net/url"
	"testing"
)

// benchRequest is what an app sends.
const benchRequest = "POST /api/v1/messages/42?full=1 HTTP/1.1\r\n" +
	"Host: api.example.org\r\n" +
	"User-Agent: ExampleApp/5.2 (iPhone; iOS 17.4)\r\n" +
	"Accept: application/json\r\n" +
	"Accept-Language: en-GB,en;q=0.9\r\n" +
	"Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n" +
	"X-Device-Id: 6f9619ff-8b86-d011-b42d-00cf4fc964ff\r\n" +
	"Content-Type: application/json\r\n" +
	"Content-Length: 27\r\n" +
	"\r\n" +
	`{"text":"Hello","to":"you"}`

// BenchmarkParseRequest compares with http.ReadRequest, its reader pooled.
func BenchmarkParseRequest(b *testing.B) {
	msg := []byte(benchRequest)
	b.Run("ParseRequest", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ParseRequest(msg, Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("http.ReadRequest", func(b *testing.B) {
		b.ReportAllocs()
		var r bytes.Reader
		buffered := bufio.NewReader(&r)
		for b.Loop() {
			r.Reset(msg)
			buffered.Reset(&r)
			if _, err := http.ReadRequest(buffered); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkCleanPath(b *testing.B) {
	for _, test := range []struct{ name, path string }{
		{"clean", "/api/v1/messages/42"},
		{"dots and escapes", "/api/./v1//caf%c3%a9/../messages/(42)%2f"},
	} {
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			was, err := url.ParseRequestURI(test.path)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				u := *was
				if err := CleanPath(&u); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
