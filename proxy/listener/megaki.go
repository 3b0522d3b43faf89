package listener

import (
	"context"
	"net"
	"net/http"
	"sync"

	"mkd/config"
	"mkd/megaki"
	"mkd/proxy/httpmsg"
	"mkd/proxy/request"
)

// megakiListener takes messages out of Megaki sessions, and makes requests of
// them.
type megakiListener struct {
	name   string
	cfg    *config.Megaki
	daemon *Daemon
	server *megaki.Server
	keys   *keyRing
}

// newMegaki returns the server of a Megaki listener. It reads the key files.
func newMegaki(c *config.Listener, d *Daemon, sh *shared) (server, error) {
	keys, err := loadKeys(c.Megaki)
	if err != nil {
		return nil, err
	}
	l := &megakiListener{name: c.Name, cfg: c.Megaki, daemon: d, keys: keys}
	l.server = &megaki.Server{
		Keys:              keys.serving,
		RetiredKeys:       keys.retired,
		Handler:           l,
		MaxMessage:        int(c.Megaki.MaxMessage),
		MaxMessagesPerKey: c.Megaki.MaxMessagesPerKey,
		HandshakeTimeout:  c.Megaki.HandshakeTimeout,
		MessageTimeout:    c.Megaki.MessageTimeout,
		WriteTimeout:      c.Megaki.WriteTimeout,
		IdleTimeout:       c.Megaki.IdleTimeout,
		Sessions:          d.Sessions,
		SessionTTL:        d.SessionTTL,
		Memory:            d.Memory,
		TrustedProxies:    d.Trusted,
		AllowHandshake:    sh.allowHandshake,
		Logger:            d.Logs.Peers(c.Name),
	}
	if d.Handshakes != nil {
		l.server.OnHandshake = func(h megaki.Handshake) { d.Handshakes.Count(h.Key) }
	}
	if err := l.server.Check(); err != nil {
		return nil, err
	}
	return l, nil
}

// serve implements server.
func (l *megakiListener) serve(c net.Conn, done func()) bool {
	l.server.ServeConn(c, done)
	return true
}

// drain implements server.
func (l *megakiListener) drain() { l.server.Drain() }

// shutdown implements server.
func (l *megakiListener) shutdown(ctx context.Context) error { return l.server.Shutdown(ctx) }

// status implements server.
func (l *megakiListener) status() Status {
	st := l.server.Stats()
	return Status{Megaki: &st}
}

// ServeMegaki implements megaki.Handler. An error closes the connection.
func (l *megakiListener) ServeMegaki(out *megaki.ResponseWriter, m *megaki.Request) (err error) {
	raw := isRaw(l.cfg.Payload, m.Body)
	s := messages.Get().(*messageState)
	r, h := &s.request, s.begin(m, l.daemon.Base)
	var refused error
	if !raw {
		if refused = s.parser.ParseMessage(m.Body, httpmsg.Limits{Fields: l.cfg.MaxFields}, h); refused != nil {
			httpmsg.Blank(h)
		}
	}
	r.Begin(h, l.daemon.Enter())
	r.Listener, r.Raw, r.Message, r.Session, r.Secure = l.name, raw, m.Body, &m.Session, true
	r.Remote, r.Client, r.Key = m.Client, m.Client, l.keys.name(m.Key)
	s.response.begin(out, raw, h.Method == http.MethodHead)
	defer func() {
		r.Leave()
		if err == nil { // else somebody may still be at work on the request
			s.end()
		}
	}()
	if refused == nil && !raw && l.cfg.KeyList != "" && h.URL.Path == megaki.KeyListPath {
		r.Own = l.serveKeyList
	}
	return r.Handle(&s.response, refused)
}

// messageState is what handling a message takes. It is used again for messages of
// any session: those that rest hold none.
type messageState struct {
	parser   httpmsg.Parser
	http     *http.Request
	request  request.Request
	response message
}

var messages = sync.Pool{New: func() any { return &messageState{http: &http.Request{Header: make(http.Header)}} }}

// begin returns the blank request of the next message.
func (s *messageState) begin(m *megaki.Request, base context.Context) *http.Request {
	if ctx := s.request.Open(m.Context(), base); ctx != s.http.Context() {
		s.http = s.http.WithContext(ctx)
	}
	httpmsg.Blank(s.http)
	return s.http
}

// end gives s back for the next message, unless this one had unusually many
// fields.
func (s *messageState) end() {
	if s.parser.Grown() || len(s.http.Header) > httpmsg.KeptFields || s.response.header.Grown() {
		return
	}
	httpmsg.Blank(s.http)
	s.response.header.Next()
	s.request.Message, s.request.Session, s.response.out = nil, nil, nil
	messages.Put(s)
}

// isRaw reports whether a message is opaque bytes.
func isRaw(configured config.Payload, message []byte) bool {
	return configured == config.PayloadRaw || configured == config.PayloadAuto && !httpmsg.IsRequest(message)
}
