package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// sendH2 sends an HTTP/1.1 request in bytes to the HTTPS listener in HTTP/2, with its
// path and its fields as they are written, which no client of HTTP/2 would do. It
// returns the response as HTTP/1.1, nil if there is none.
func sendH2(t *testing.T, p *Daemon, request string) []byte {
	t.Helper()
	conn, err := tls.Dial("tcp", p.Addr("secure").String(), &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	setDeadline(conn)
	head, body, _ := strings.Cut(request, "\r\n\r\n")
	line, fields, _ := strings.Cut(head, "\r\n")
	method, rest, _ := strings.Cut(line, " ")
	path := rest[:strings.LastIndexByte(rest, ' ')]
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	write := func(name, value string) { enc.WriteField(hpack.HeaderField{Name: name, Value: value}) }
	host, others := "", [][2]string{}
	for f := range strings.SplitSeq(fields, "\r\n") {
		name, value, _ := strings.Cut(f, ": ")
		switch name = strings.ToLower(name); name {
		case "host":
			host = value
		case "connection", "": // HTTP/2 has none
		default:
			others = append(others, [2]string{name, value})
		}
	}
	write(":method", method)
	write(":scheme", "https")
	write(":authority", host)
	write(":path", path)
	for _, f := range others {
		write(f[0], f[1])
	}
	io.WriteString(conn, http2.ClientPreface)
	fr := http2.NewFramer(conn, bufio.NewReader(conn))
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	fr.WriteSettings()
	fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: body == ""})
	if body != "" {
		fr.WriteData(1, true, []byte(body))
	}
	resp := &http.Response{ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: &http.Request{Method: method}}
	var content bytes.Buffer
	for ended := false; !ended; {
		frame, err := fr.ReadFrame()
		if err != nil {
			return nil
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				fr.WriteSettingsAck()
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return nil
		case *http2.MetaHeadersFrame:
			for _, h := range f.RegularFields() {
				resp.Header.Add(h.Name, h.Value)
			}
			for _, h := range f.PseudoFields() {
				for _, digit := range h.Value {
					resp.StatusCode = 10*resp.StatusCode + int(digit-'0')
				}
			}
			ended = f.StreamEnded()
		case *http2.DataFrame:
			content.Write(f.Data())
			ended = f.StreamEnded()
		}
	}
	resp.Header.Del("Date")
	resp.Body, resp.ContentLength = io.NopCloser(&content), int64(content.Len())
	var out bytes.Buffer
	if err := resp.Write(&out); err != nil {
		return nil
	}
	return out.Bytes()
}
