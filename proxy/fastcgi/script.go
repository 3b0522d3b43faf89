package fastcgi

import (
	"cmp"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"

	"mkd/metavar"
)

// Script is the script that a request is for, and the client that sent it: what
// the request itself doesn't have, or can't be trusted with.
type Script struct {
	Filename     string // SCRIPT_FILENAME: the script's file
	Name         string // SCRIPT_NAME: the part of the path that leads to the script
	PathInfo     string // PATH_INFO: the part after it; empty: none
	DocumentRoot string // DOCUMENT_ROOT, without a slash at the end
	DocumentURI  string // DOCUMENT_URI; default: Name and PathInfo
	RequestURI   string // REQUEST_URI; default: that of the request's URL

	ServerName string         // SERVER_NAME; default: the request's host without its port
	ServerAddr netip.AddrPort // SERVER_ADDR, SERVER_PORT: where the request came in
	RemoteAddr netip.AddrPort // REMOTE_ADDR, REMOTE_PORT; default: the request's RemoteAddr
	HTTPS      bool           // HTTPS, REQUEST_SCHEME: whether the client's connection is encrypted
	Session    string         // MEGAKI_SESSION; empty: none
	Key        string         // MEGAKI_KEY; empty: none
	TLS        []Param        // SSL_CLIENT_*: the client's certificate

	// Constant is what SiteConstant has returned. Default: that of no parameters.
	Constant *Constant
}

// SiteConstant returns the parameters that all scripts of a site have: those of the
// server, and env, whose value counts where a Script has one of the same name.
func SiteConstant(env ...Param) (*Constant, error) {
	all := []Param{
		{"SERVER_SOFTWARE", Software},
		{"GATEWAY_INTERFACE", "CGI/1.1"},
		{"REDIRECT_STATUS", "200"}, // php-cgi takes no request without it
	}
	all = slices.DeleteFunc(all, func(p Param) bool {
		return slices.ContainsFunc(env, func(e Param) bool { return e.Name == p.Name })
	})
	return newConstant(append(all, env...)...)
}

// noEnv is the default of Script.Constant.
var noEnv, _ = SiteConstant()

// Software is SERVER_SOFTWARE, unless the site has another one. Applications look for the names of
// servers in it: WordPress offers permalinks without index.php only to servers
// that it knows to rewrite (got_url_rewrite in wp-admin/includes/misc.php, in 6.1
// Apache, nginx and Microsoft-IIS). Of these, nginx is the one that mkd is like: a
// front controller by configuration, no .htaccess, and X-Accel-Redirect.
const Software = "mkd (like nginx)"

// AddParams adds the parameters of a request in an order that is always the same:
// Constant, those of RFC 3875, section 4.1, those that PHP applications expect, and the
// request's header.
//
// The header's fields appear as HTTP_* (RFC 3875, section 4.1.18). Left out are
// Content-Type and Content-Length, which have their own names, and those that are
// metavar.Hidden.
func (s *Script) AddParams(p *Params, r *http.Request) {
	p.AddConstant(cmp.Or(s.Constant, noEnv))
	addSet := func(name, value string) {
		if value != "" {
			p.Add(name, value)
		}
	}
	p.Add("SCRIPT_FILENAME", s.Filename)
	p.Add("SCRIPT_NAME", s.Name)
	if s.PathInfo != "" {
		p.Add("PATH_INFO", s.PathInfo)
		p.Add("PATH_TRANSLATED", s.DocumentRoot+s.PathInfo)
	}
	p.Add("DOCUMENT_ROOT", s.DocumentRoot)
	p.Add("DOCUMENT_URI", cmp.Or(s.DocumentURI, s.Name+s.PathInfo))
	target := cmp.Or(r.URL, &url.URL{})
	if s.RequestURI != "" {
		p.Add("REQUEST_URI", s.RequestURI)
	} else {
		p.Add("REQUEST_URI", target.RequestURI())
	}
	p.Add("QUERY_STRING", target.RawQuery)
	p.Add("REQUEST_METHOD", cmp.Or(r.Method, http.MethodGet))
	addSet("CONTENT_TYPE", r.Header.Get("Content-Type"))
	if r.ContentLength > 0 || r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch {
		p.Add("CONTENT_LENGTH", strconv.FormatInt(max(0, r.ContentLength), 10))
	}

	local, remote := metavar.Address(s.ServerAddr), metavar.Address(s.RemoteAddr)
	name := s.ServerName
	if name == "" {
		name = metavar.ServerName(r.Host, local.Addr())
	}
	p.Add("SERVER_NAME", name)
	scheme, port := "http", "80"
	if s.HTTPS {
		scheme, port = "https", "443"
	}
	if local.IsValid() {
		port = strconv.Itoa(int(local.Port()))
	}
	p.Add("SERVER_PORT", port)
	if local.IsValid() {
		p.Add("SERVER_ADDR", local.Addr().String())
	}
	p.Add("SERVER_PROTOCOL", cmp.Or(r.Proto, "HTTP/1.1"))
	if !remote.IsValid() {
		parsed, _ := netip.ParseAddrPort(r.RemoteAddr)
		remote = metavar.Address(parsed)
	}
	if remote.IsValid() {
		p.Add("REMOTE_ADDR", remote.Addr().String())
		p.Add("REMOTE_PORT", strconv.Itoa(int(remote.Port())))
	}
	if s.HTTPS {
		p.Add("HTTPS", "on")
	}
	p.Add("REQUEST_SCHEME", scheme)
	addSet("MEGAKI_SESSION", s.Session)
	addSet("MEGAKI_KEY", s.Key)
	for _, pair := range s.TLS {
		p.Add(pair.Name, pair.Value)
	}
	addFields(p, r)
}
