package migrate

import (
	"path/filepath"
	"slices"
	"strings"

	"mkd/migrate/nginxconf"
)

// needlessNames are directives that mkd needs no counterpart of: it does the same by
// itself, or they are about nginx's own processes and buffers.
var needlessNames = words(`
	absolute_redirect aio client_body_buffer_size client_body_in_single_buffer client_body_temp_path
	client_header_buffer_size connection_pool_size daemon directio disable_symlinks etag events
	fastcgi_buffer_size fastcgi_buffering fastcgi_buffers fastcgi_busy_buffers_size fastcgi_index fastcgi_max_temp_file_size
	fastcgi_pass_header fastcgi_request_buffering fastcgi_send_timeout fastcgi_split_path_info fastcgi_temp_file_write_size fastcgi_temp_path
	gunzip http3 http3_hq http3_stream_buffer_size quic_gso quic_retry gzip_buffers gzip_comp_level gzip_disable gzip_http_version gzip_proxied gzip_vary http2
	http2_max_field_size http2_max_header_size if_modified_since ignore_invalid_headers include keepalive keepalive_disable keepalive_requests
	large_client_header_buffers lingering_close lingering_time lingering_timeout load_module master_process
	log_not_found log_subrequest max_ranges merge_slashes msie_padding open_file_cache open_file_cache_errors
	open_file_cache_min_uses open_file_cache_valid output_buffers pcre_jit pid port_in_redirect postpone_output
	proxy_buffer_size proxy_buffers proxy_busy_buffers_size proxy_headers_hash_bucket_size proxy_headers_hash_max_size
	proxy_http_version proxy_max_temp_file_size proxy_redirect proxy_send_timeout proxy_socket_keepalive proxy_ssl_server_name proxy_ssl_session_reuse
	proxy_temp_file_write_size proxy_temp_path real_ip_recursive request_pool_size
	reset_timedout_connection resolver resolver_timeout scgi_temp_path send_lowat sendfile sendfile_max_chunk server_name_in_redirect
	server_names_hash_bucket_size server_names_hash_max_size server_tokens ssl_buffer_size ssl_ciphers ssl_dhparam ssl_ecdh_curve ssl_prefer_server_ciphers ssl_protocols
	ssl_session_cache ssl_session_tickets ssl_session_timeout ssl_trusted_certificate subrequest_output_buffer_size tcp_nodelay tcp_nopush types_hash_bucket_size
	types_hash_max_size underscores_in_headers user uwsgi_temp_path variables_hash_bucket_size variables_hash_max_size worker_connections
	worker_cpu_affinity worker_priority worker_processes worker_rlimit_nofile worker_shutdown_timeout`)

// reasons are why a directive isn't moved, by the beginning of its name.
var reasons = []struct{ prefix, reason string }{
	{"auth_basic", "no route asks for passwords of it"},
	{"auth_jwt", "see auth: {jwt: ...} of a route"},
	{"fastcgi_cache", "mkd has no cache"},
	{"proxy_cache", "mkd has no cache"},
	{"proxy_store", "mkd has no cache"},
	{"open_log_file_cache", "mkd writes one log"},
	{"proxy_next_upstream", "mkd asks another server if nothing was sent, or if the method may be repeated and no response began"},
	{"fastcgi_next_upstream", "mkd asks another server if nothing was sent, or if the method may be repeated and no response began"},
	{"return", "nothing that is moved leads here"},
	{"access_log", "mkd writes one log for all; see log"},
	{"error_log", "mkd writes one log for all; see log"},
	{"log_format", "mkd's log is in JSON, or in the format combined; see log.access"},
	{"map", "mkd has no variables of one's own; look for what uses it"},
	{"geo", "mkd has no variables of one's own; match: {from: [...]} of a route selects addresses"},
	{"split_clients", "mkd has no variables of one's own"},
	{"set", "mkd has no variables of one's own; look for what uses it"},
	{"types", "see types of a files or fastcgi backend"},
	{"default_type", "mkd knows the types of files by their endings; see types of a files or fastcgi backend"},
	{"rewrite", "what it leads to isn't a path of a route"},
	{"perl", "mkd runs no code of its own"},
	{"js_", "mkd runs no code of its own"},
	{"sub_filter", "mkd doesn't change bodies"},
	{"addition", "mkd doesn't change bodies"},
	{"add_before_body", "mkd doesn't change bodies"},
	{"add_after_body", "mkd doesn't change bodies"},
	{"image_filter", "mkd doesn't change bodies"},
	{"xslt", "mkd doesn't change bodies"},
	{"ssi", "mkd has no server-side includes"},
	{"dav", "mkd has no WebDAV of its own; a backend may have"},
	{"create_full_put_path", "mkd has no WebDAV of its own; a backend may have"},
	{"mp4", "mkd sends ranges of files, and knows no formats"},
	{"flv", "mkd sends ranges of files, and knows no formats"},
	{"limit_except", "all methods are let in; a route in front of this one, with match: {not: {methods: [...]}} and respond: {status: 403}, refuses others"},
	{"limit_conn", "see max_in_flight of a route, and max_connections_per_ip of a listener"},
	{"limit_rate", "mkd doesn't slow responses down"},
	{"limit_req", "a rate limit is by the client's address; see rate_limit of a route"},
	{"stub_status", "see mkd status, and admin.metrics"},
	{"ssl_stapling", "mkd doesn't staple OCSP responses; Let's Encrypt has none any more"},
	{"ssl_", "mkd has no such setting"},
	{"mail", "mkd serves no mail"},
	{"stream", "mkd forwards requests, not connections"},
	{"uwsgi", "mkd doesn't speak uwsgi; let the server speak HTTP"},
	{"scgi", "mkd doesn't speak SCGI; let the server speak HTTP"},
	{"grpc", "mkd has no such setting; see h2c:// URLs of an http backend"},
	{"memcached", "mkd doesn't ask memcached"},
	{"mirror", "mkd sends a request to one server"},
	{"secure_link", "mkd has no signed links of its own"},
	{"valid_referers", "mkd has no check of Referer by lists"},
	{"userid", "mkd sets no cookies of its own, but for sticky"},
	{"resolver", "mkd resolves names by the system's resolver"},
	{"include", "the file doesn't exist, or can't be found from here"},
	{"allow", "a return comes before it"},
	{"deny", "a return comes before it"},
	{"root", "no route serves files of it"},
	{"index", "no route serves files of it"},
	{"try_files", "no route serves files of it"},
	{"internal", "no route leads here from outside"},
	{"if", "mkd has conditions only in match of a route"},
	{"satisfy", "it is about rules that aren't moved"},
	{"break", "a route has one rewrite"},
}

// needless reports whether a directive has nothing to move.
func needless(d *nginxconf.Directive) bool {
	switch d.Name {
	case "include": // what is left of them wasn't found
		return false
	case "proxy_redirect":
		return len(d.Args) == 1
	case "set":
		return len(d.Args) == 2 && d.Arg(1) == "$fastcgi_path_info"
	case "types": // nginx's own list
		return filepath.Base(d.File) == "mime.types"
	case "fastcgi_intercept_errors", "proxy_intercept_errors": // without an error_page nothing changes
		return true
	case "proxy_next_upstream", "fastcgi_next_upstream": // what is so by default
		return !slices.ContainsFunc(d.Args, func(arg string) bool { return arg != "error" && arg != "timeout" })
	case "default_type":
		return last(d.Args) == "application/octet-stream"
	}
	return needlessNames[d.Name]
}

// reasonFor returns why a directive isn't moved.
func reasonFor(d *nginxconf.Directive) string {
	for _, r := range reasons {
		if strings.HasPrefix(d.Name, r.prefix) {
			return r.reason
		}
	}
	return "mkd has nothing like it"
}

func words(text string) map[string]bool {
	set := make(map[string]bool)
	for _, word := range strings.Fields(text) {
		set[word] = true
	}
	return set
}
