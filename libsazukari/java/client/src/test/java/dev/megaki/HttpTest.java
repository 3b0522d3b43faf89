package dev.megaki;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.Test;

/** HTTP requests as they are written, responses as they are read. */
public class HttpTest {
    private static String written(HttpRequest r) {
        return new String(r.toBytes("h:1"), HttpRequest.LATIN_1);
    }

    @Test
    public void requestsAreWritten() {
        assertEquals("GET /a?b=c HTTP/1.1\r\nHost: h:1\r\n\r\n", written(HttpRequest.get("/a?b=c")));
        assertEquals("POST / HTTP/1.1\r\nHost: example.org\r\nContent-Type: text/plain\r\nA: b\r\nContent-Length: 3\r\n\r\nxyz",
                written(HttpRequest.post("/", "text/plain", "xyz".getBytes(HttpRequest.LATIN_1)).header("A", "b").host("example.org")));
        assertEquals("PUT / HTTP/1.1\r\nHost: h:1\r\nContent-Length: 0\r\n\r\n", written(new HttpRequest("PUT", "/")));
    }

    private static void refused(Runnable r) {
        try {
            r.run();
        } catch (IllegalArgumentException e) {
            return;
        }
        fail();
    }

    @Test
    public void noRequestCanBeSmuggled() {
        for (String path : new String[] {"", "a", "http://h/", "/a b", "/a\r\nX: y", "/\u007f", "/\u00e4", "/a#b"}) {
            refused(() -> HttpRequest.get(path));
        }
        for (String method : new String[] {"", "GET /", "G\r\nET", "CONNECT", "G\u00e4T"}) {
            refused(() -> new HttpRequest(method, "/"));
        }
        for (String host : new String[] {"", "a b", "a\r\nX: y", "a/b", "u@h", "a,b"}) {
            refused(() -> HttpRequest.get("/").host(host));
        }
        for (String[] f : new String[][] {{"host", "h"}, {"content-length", "1"}, {"Transfer-Encoding", "chunked"}, {"A b", "c"}, {"", "c"},
                {"A", "b\r\nC: d"}, {"A", "b\n"}, {"A", "\u20ac"}}) {
            refused(() -> HttpRequest.get("/").header(f[0], f[1]));
        }
    }

    private static HttpResponse parse(String text, boolean headOnly) throws MegakiException {
        return HttpResponse.parse(text.getBytes(HttpRequest.LATIN_1), headOnly);
    }

    @Test
    public void responsesAreRead() throws Exception {
        HttpResponse r = parse("HTTP/1.1 200 OK\r\nX-A: \t1 \r\nx-a: 2\r\nContent-Length: 5\r\n\r\nhello", false);
        assertEquals(200, r.status());
        assertEquals("1", r.header("x-A"));
        assertEquals(Arrays.asList("1", "2"), r.headers("X-A"));
        assertNull(r.header("X"));
        assertArrayEquals("hello".getBytes(HttpRequest.LATIN_1), r.body());
        assertEquals(204, parse("HTTP/1.0 204\r\n\r\n", false).status());
        assertEquals(304, parse("HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n", false).status());
        assertEquals(0, parse("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n", true).body().length);
    }

    /** A field of a megabyte of spaces, which took hours: the time grew with its square. */
    @Test(timeout = 60000)
    public void spacesWithinAFieldTakeNoTime() throws Exception {
        char[] spaces = new char[1000000];
        Arrays.fill(spaces, ' ');
        String value = "a" + new String(spaces) + "b";
        assertEquals(value, parse("HTTP/1.1 200 OK\r\nX: " + value + " \t\r\n\r\n", false).header("X"));
    }

    /** The responses that all clients read or refuse alike. */
    @Test
    @SuppressWarnings("unchecked")
    public void vectors() throws Exception {
        List<Object> tests = (List<Object>) Json.read("http.json").get("tests");
        assertTrue(tests.size() > 40);
        for (Object o : tests) {
            Map<String, Object> test = (Map<String, Object>) o;
            String name = (String) test.get("name");
            HttpResponse r;
            try {
                r = parse(new String(Json.hex(test.get("message")), "ISO-8859-1"), test.get("method").equals("HEAD"));
            } catch (MegakiException e) {
                assertEquals(name, "malformed", test.get("expect"));
                continue;
            }
            assertEquals(name, "ok", test.get("expect"));
            assertEquals(name, Integer.parseInt(test.get("status").toString()), r.status());
            assertArrayEquals(name, test.containsKey("body") ? Json.hex(test.get("body")) : new byte[0], r.body());
        }
    }

    @Test
    public void wrongResponsesAreRefused() {
        String good = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody";
        String[] wrong = {"", "hello", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 200 OK\n\n",
            "HTTP/1.1 200 OK\r\nA\r\n\r\n", "HTTP/1.1 200 OK\r\n: b\r\n\r\n", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: \u0000\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nbody", good + "x", good.substring(0, good.length() - 1),
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nbody", "HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nbody",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "HTTP/1.1 204 No\r\nContent-Length: 4\r\n\r\nbody"};
        for (String text : wrong) {
            try {
                parse(text, false);
            } catch (MegakiException e) {
                assertEquals(MegakiException.Reason.PROTOCOL, e.getReason());
                continue;
            }
            fail(text);
        }
        for (int n = 0; n < good.length(); n++) {
            try {
                parse(good.substring(0, n), false);
            } catch (MegakiException e) {
                continue;
            }
            fail(good.substring(0, n));
        }
    }
}
