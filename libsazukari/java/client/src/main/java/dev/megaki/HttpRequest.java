package dev.megaki;

import java.io.ByteArrayOutputStream;
import java.nio.charset.Charset;
import java.util.ArrayList;
import java.util.List;

/** An HTTP request. Names and values are checked as they are set. */
public final class HttpRequest {
    static final Charset LATIN_1 = Charset.forName("ISO-8859-1");
    private static final String TOKEN = "!#$%&'*+-.^_`|~";

    private final String method;
    private final String path;
    private final List<String[]> fields = new ArrayList<String[]>();
    private String host;
    private byte[] body;

    /**
     * Makes a request.
     *
     * @param path with its query, if any; it begins with '/', and is escaped
     */
    public HttpRequest(String method, String path) {
        if (!isToken(method) || method.equals("CONNECT")) {
            throw new IllegalArgumentException("the method isn't one word, or is CONNECT");
        }
        if (!path.startsWith("/")) {
            throw new IllegalArgumentException("a path begins with '/'");
        }
        for (int i = 0; i < path.length(); i++) {
            char c = path.charAt(i);
            if (c <= ' ' || c >= 0x7F || c == '#') {
                throw new IllegalArgumentException("the path has a character that must be escaped");
            }
        }
        this.method = method;
        this.path = path;
    }

    public static HttpRequest get(String path) {
        return new HttpRequest("GET", path);
    }

    public static HttpRequest post(String path, String contentType, byte[] body) {
        return new HttpRequest("POST", path).header("Content-Type", contentType).body(body);
    }

    /** Adds a header field. Host and Content-Length are the client's to write. */
    public HttpRequest header(String name, String value) {
        if (!isToken(name) || !isValue(value)) {
            throw new IllegalArgumentException("a header field is malformed");
        }
        for (String own : new String[] {"Host", "Content-Length", "Transfer-Encoding"}) {
            if (own.equalsIgnoreCase(name)) {
                throw new IllegalArgumentException(own + " is written by the client");
            }
        }
        fields.add(new String[] {name, value});
        return this;
    }

    /** Sets the Host. Default: that of the client. */
    public HttpRequest host(String value) {
        if (value.isEmpty() || !isValue(value) || value.matches(".*[ \t/,@].*")) {
            throw new IllegalArgumentException("the host is malformed");
        }
        host = value;
        return this;
    }

    public HttpRequest body(byte[] bytes) {
        body = bytes.clone();
        return this;
    }

    String method() {
        return method;
    }

    byte[] toBytes(String defaultHost) {
        StringBuilder head = new StringBuilder();
        head.append(method).append(' ').append(path).append(" HTTP/1.1\r\n");
        head.append("Host: ").append(host != null ? host : defaultHost).append("\r\n");
        for (String[] f : fields) {
            head.append(f[0]).append(": ").append(f[1]).append("\r\n");
        }
        if (body != null || method.equals("POST") || method.equals("PUT") || method.equals("PATCH")) {
            head.append("Content-Length: ").append(body != null ? body.length : 0).append("\r\n");
        }
        byte[] text = head.append("\r\n").toString().getBytes(LATIN_1);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(text, 0, text.length);
        if (body != null) {
            out.write(body, 0, body.length);
        }
        return out.toByteArray();
    }

    static boolean isToken(String s) {
        for (int i = 0; i < s.length(); i++) {
            char c = s.charAt(i);
            boolean alnum = c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z';
            if (!alnum && TOKEN.indexOf(c) < 0) {
                return false;
            }
        }
        return !s.isEmpty();
    }

    /** Values are ISO-8859-1 without control characters. */
    static boolean isValue(String s) {
        for (int i = 0; i < s.length(); i++) {
            char c = s.charAt(i);
            if (c < ' ' && c != '\t' || c == 0x7F || c > 0xFF) {
                return false;
            }
        }
        return true;
    }
}
