package dev.megaki;

import dev.megaki.MegakiException.Reason;
import java.util.ArrayList;
import java.util.List;

/** An HTTP response. */
public final class HttpResponse {
    private static final int MAX_FIELDS = 256;

    private final int status;
    private final List<String[]> fields;
    private final byte[] body;

    private HttpResponse(int status, List<String[]> fields, byte[] body) {
        this.status = status;
        this.fields = fields;
        this.body = body;
    }

    /** Returns the status, 200 to 599. */
    public int status() {
        return status;
    }

    /** Returns the value of the first field of a name, or null. */
    public String header(String name) {
        List<String> values = headers(name);
        return values.isEmpty() ? null : values.get(0);
    }

    /** Returns the values of all fields of a name. */
    public List<String> headers(String name) {
        List<String> values = new ArrayList<String>();
        for (String[] f : fields) {
            if (f[0].equalsIgnoreCase(name)) {
                values.add(f[1]);
            }
        }
        return values;
    }

    public byte[] body() {
        return body.clone();
    }

    /**
     * Reads a whole response. The length of a message isn't authenticated, so the
     * response's own framing must agree with it.
     */
    static HttpResponse parse(byte[] p, boolean headOnly) throws MegakiException {
        int[] at = {0};
        int status = parseStatus(cutLine(p, at));
        List<String[]> fields = new ArrayList<String[]>();
        for (String line = cutLine(p, at); !line.isEmpty(); line = cutLine(p, at)) {
            if (fields.size() == MAX_FIELDS) {
                throw wrong("it has more than 256 header fields");
            }
            int colon = line.indexOf(':');
            if (colon < 0 || !HttpRequest.isToken(line.substring(0, colon))) {
                throw wrong("a header field is malformed");
            }
            fields.add(new String[] {line.substring(0, colon), trim(line.substring(colon + 1))});
        }
        HttpResponse r = new HttpResponse(status, fields, Packets.part(p, at[0], p.length - at[0]));
        r.checkBody(headOnly);
        return r;
    }

    private static MegakiException wrong(String what) {
        return new MegakiException(Reason.PROTOCOL, "the response isn't a right HTTP response: " + what).sent();
    }

    private static String cutLine(byte[] p, int[] at) throws MegakiException {
        for (int i = at[0]; i < p.length; i++) {
            if (p[i] == '\r' && i + 1 < p.length && p[i + 1] == '\n') {
                String line = new String(p, at[0], i - at[0], HttpRequest.LATIN_1);
                at[0] = i + 2;
                return line;
            }
            if (p[i] >= 0 && p[i] < ' ' && p[i] != '\t' || p[i] == 0x7F) {
                break;
            }
        }
        throw wrong("its head doesn't end, or has a character that isn't allowed");
    }

    private static int parseStatus(String line) throws MegakiException {
        if (!line.matches("(?s)HTTP/1\\.[01] [2-5][0-9][0-9]( .*)?")) {
            throw wrong("its first line is malformed, or its status isn't from 200 to 599");
        }
        return Integer.parseInt(line.substring(9, 12));
    }

    private static String trim(String s) {
        int begin = 0;
        int end = s.length();
        while (begin < end && isSpace(s.charAt(begin))) {
            begin++;
        }
        while (begin < end && isSpace(s.charAt(end - 1))) {
            end--;
        }
        return s.substring(begin, end);
    }

    private static boolean isSpace(char c) {
        return c == ' ' || c == '\t';
    }

    private void checkBody(boolean headOnly) throws MegakiException {
        List<String> lengths = headers("Content-Length");
        if (lengths.size() > 1 || !headers("Transfer-Encoding").isEmpty()) {
            throw wrong("it has two Content-Length fields, or a Transfer-Encoding, which a message can't have");
        }
        boolean hasNoBody = headOnly || status == 204 || status == 304;
        long expected = 0;
        if (!hasNoBody && !lengths.isEmpty()) {
            expected = lengths.get(0).matches("[0-9]{1,10}") ? Long.parseLong(lengths.get(0)) : -1;
        }
        if (expected != body.length) {
            throw wrong("its body doesn't have the length of its Content-Length");
        }
    }
}
