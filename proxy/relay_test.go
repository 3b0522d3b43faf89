package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// TestSlowReadersHoldNoWorker: with one worker, clients that take nothing of
// large responses don't keep others waiting.
func TestSlowReadersHoldNoWorker(t *testing.T) {
	const size = 20 << 20
	code := fmt.Sprintf("str_repeat('x', %d)", size)
	f := startFPM(t, 1, map[string]string{"big.php": "<?php echo " + code + ";", "index.php": "<?php echo 'quick';"})
	script := onHTTP(t, "$ARCANGELO_USERSPACE = ['on_http' => fn ($r) => $r->path === '/big.php' ? "+code+" : 'quick'];")
	for name, backend := range map[string]string{
		"workers": "php: {script: " + script + ", workers: {min: 1, max: 1}, queue_timeout: 20s}",
		"fpm":     `fastcgi: {addresses: ["unix:` + f.dir + `/s"], root: ` + f.public + "}",
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := start(t, load(t, `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
backends:
  site: {`+backend+`}
routes:
  - backend: site
`))
			var slow []net.Conn
			for range 3 {
				conn, err := net.Dial("tcp", p.Addr("web").String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				io.WriteString(conn, "GET /big.php HTTP/1.1\r\nHost: x\r\n\r\n")
				slow = append(slow, conn)
			}
			for _, conn := range slow { // each has the head, so the worker has been at it
				conn.SetDeadline(time.Now().Add(20 * time.Second))
				if _, err := io.ReadFull(conn, make([]byte, 100)); err != nil {
					t.Fatal(err)
				}
			}
			if a := sendWeb(t, p, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); !bytes.HasPrefix(a, []byte("HTTP/1.1 200 ")) {
				t.Errorf("%.200q", a)
			}
			for _, conn := range slow { // and nothing of theirs is lost
				conn.SetDeadline(time.Now().Add(20 * time.Second))
				n, err := io.CopyN(io.Discard, conn, size)
				if err != nil {
					t.Errorf("after %d bytes: %v", n, err)
				}
			}
		})
	}
}
