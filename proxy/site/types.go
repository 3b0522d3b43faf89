package site

import (
	"cmp"
	"path"
	"strings"
)

// UnknownType is the media type of a file of which nothing is known.
const UnknownType = "application/octet-stream"

// MediaType returns the media type for the extension of a file's name, or "". A type
// text/* has the charset; if that is "", the one that charsetOf returns.
func MediaType(name, charset string) string {
	mime := mediaType(strings.ToLower(path.Ext(name)))
	if !strings.HasPrefix(mime, "text/") {
		return mime
	}
	if charset = cmp.Or(charset, charsetOf(mime)); charset == "" {
		return mime
	}
	return mime + "; charset=" + charset
}

// mediaType returns the media type for a file name's extension in lower case,
// such as ".html", or "". It is a table of this package's own, so that a site's
// types don't change with the machine it is served from.
//
// Sources: the IANA registry of media types; RFC 9239 for JavaScript; RFC 8081
// for fonts. Types of texts get a charset by charsetOf; SVG and XML declare theirs
// themselves.
func mediaType(extension string) string {
	switch extension {
	// Pages and what they consist of.
	case ".html", ".htm":
		return "text/html"
	case ".xhtml":
		return "application/xhtml+xml"
	case ".css":
		return "text/css"
	case ".js", ".mjs":
		return "text/javascript"
	case ".json", ".map":
		return "application/json"
	case ".jsonld":
		return "application/ld+json"
	case ".webmanifest":
		return "application/manifest+json"
	case ".wasm":
		return "application/wasm"
	case ".xml":
		return "application/xml"
	case ".xsl", ".xslt":
		return "application/xslt+xml"
	case ".rss":
		return "application/rss+xml"
	case ".atom":
		return "application/atom+xml"
	case ".geojson":
		return "application/geo+json"

	// Texts.
	case ".txt", ".text", ".log":
		return "text/plain"
	case ".csv":
		return "text/csv"
	case ".md", ".markdown":
		return "text/markdown"
	case ".ics":
		return "text/calendar"
	case ".vcf":
		return "text/vcard"
	case ".vtt":
		return "text/vtt"
	case ".yaml", ".yml":
		return "application/yaml"

	// Images.
	case ".png":
		return "image/png"
	case ".apng":
		return "image/apng"
	case ".jpg", ".jpeg", ".jpe":
		return "image/jpeg"
	case ".gif":
		return "image/gif"
	case ".svg":
		return "image/svg+xml"
	case ".webp":
		return "image/webp"
	case ".avif":
		return "image/avif"
	case ".heic":
		return "image/heic"
	case ".jxl":
		return "image/jxl"
	case ".bmp":
		return "image/bmp"
	case ".tif", ".tiff":
		return "image/tiff"
	case ".ico":
		return "image/vnd.microsoft.icon"

	// Fonts.
	case ".woff":
		return "font/woff"
	case ".woff2":
		return "font/woff2"
	case ".ttf":
		return "font/ttf"
	case ".otf":
		return "font/otf"
	case ".ttc":
		return "font/collection"
	case ".eot":
		return "application/vnd.ms-fontobject"

	// Sound and film.
	case ".mp3":
		return "audio/mpeg"
	case ".m4a":
		return "audio/mp4"
	case ".aac":
		return "audio/aac"
	case ".flac":
		return "audio/flac"
	case ".wav":
		return "audio/wav"
	case ".oga", ".ogg", ".opus":
		return "audio/ogg"
	case ".weba":
		return "audio/webm"
	case ".mp4", ".m4v":
		return "video/mp4"
	case ".webm":
		return "video/webm"
	case ".ogv":
		return "video/ogg"
	case ".mov":
		return "video/quicktime"
	case ".mpeg", ".mpg":
		return "video/mpeg"
	case ".mkv":
		return "video/matroska"
	case ".ts":
		return "video/mp2t"
	case ".m3u8":
		return "application/vnd.apple.mpegurl"
	case ".mpd":
		return "application/dash+xml"

	// Documents.
	case ".pdf":
		return "application/pdf"
	case ".rtf":
		return "application/rtf"
	case ".epub":
		return "application/epub+zip"
	case ".doc":
		return "application/msword"
	case ".xls":
		return "application/vnd.ms-excel"
	case ".ppt":
		return "application/vnd.ms-powerpoint"
	case ".docx":
		return "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	case ".xlsx":
		return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	case ".pptx":
		return "application/vnd.openxmlformats-officedocument.presentationml.presentation"
	case ".odt":
		return "application/vnd.oasis.opendocument.text"
	case ".ods":
		return "application/vnd.oasis.opendocument.spreadsheet"
	case ".odp":
		return "application/vnd.oasis.opendocument.presentation"

	// Archives and programs.
	case ".zip":
		return "application/zip"
	case ".gz", ".tgz":
		return "application/gzip"
	case ".bz2":
		return "application/x-bzip2"
	case ".xz":
		return "application/x-xz"
	case ".zst":
		return "application/zstd"
	case ".tar":
		return "application/x-tar"
	case ".7z":
		return "application/x-7z-compressed"
	case ".jar":
		return "application/java-archive"
	case ".apk":
		return "application/vnd.android.package-archive"
	}
	return ""
}

// charsetOf returns the charset that is sent with a media type of the table, ""
// if none. Pages and plain texts may be older than UTF-8, and pages declare their
// own charset, which one in the header would override.
func charsetOf(mediaType string) string {
	switch mediaType {
	case "text/html", "text/plain":
		return ""
	}
	return "utf-8"
}
