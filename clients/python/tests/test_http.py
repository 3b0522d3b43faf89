"""HTTP requests as they are written, responses as they are read."""

import json
import os
import sys
import unittest
from pathlib import Path

VECTORS = Path(os.environ.get("MEGAKI_VECTORS", str(Path(__file__).resolve().parents[3] / "vectors"))) / "http.json"

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from megaki import HTTPError, ProtocolError  # noqa: E402
from megaki.http import read_response, write_request  # noqa: E402


class Requests(unittest.TestCase):
    def test_written(self) -> None:
        self.assertEqual(write_request("GET", "/a?b=c", "h:1"), b"GET /a?b=c HTTP/1.1\r\nHost: h:1\r\n\r\n")
        self.assertEqual(
            write_request("POST", "/", "h", {"A": "b"}, {"q": "ä"}, {"x": "1 2"}),
            b"POST /?q=%C3%A4 HTTP/1.1\r\nHost: h\r\nA: b\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n\r\nx=1+2",
        )
        self.assertEqual(write_request("PUT", "/", "h"), b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        self.assertIn(b"application/json\r\nContent-Length: 8\r\n\r\n{\"a\": 1}", write_request("POST", "/", "h", json={"a": 1}))

    def test_no_request_can_be_smuggled(self) -> None:
        for path in ("", "a", "http://h/", "/a b", "/a\r\nX: y", "/\x7f", "/ä", "/a#b"):
            with self.assertRaises(ValueError, msg=path):
                write_request("GET", path, "h")
        for method in ("", "GET /", "G\r\nET", "CONNECT", "GäT"):
            with self.assertRaises(ValueError, msg=method):
                write_request(method, "/", "h")
        for host in ("", "a b", "a\r\nX: y", "a/b", "u@h", "a,b"):
            with self.assertRaises(ValueError, msg=host):
                write_request("GET", "/", host)
        for field in (("host", "h"), ("content-length", "1"), ("Transfer-Encoding", "chunked"), ("A b", "c"), ("", "c"), ("A", "b\r\nC: d"), ("A", "b\n"), ("A", "€")):
            with self.assertRaises(ValueError, msg=field):
                write_request("GET", "/", "h", [field])


class Responses(unittest.TestCase):
    def test_read(self) -> None:
        r = read_response(b"HTTP/1.1 200 OK\r\nX-A: \t1 \r\nx-a: 2\r\nContent-Length: 5\r\n\r\nhello", "GET")
        self.assertEqual((r.status_code, r.reason, r.headers["x-A"], r.headers.get_all("X-A"), r.headers.get("X"), r.text), (200, "OK", "1", ["1", "2"], None, "hello"))
        self.assertEqual(read_response(b"HTTP/1.0 204\r\n\r\n", "GET").status_code, 204)
        self.assertEqual(read_response(b"HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n", "GET").status_code, 304)
        self.assertEqual(read_response(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "HEAD").content, b"")
        self.assertEqual(read_response(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=latin1\r\nContent-Length: 1\r\n\r\n\xe4", "GET").text, "ä")
        with self.assertRaises(HTTPError):
            read_response(b"HTTP/1.1 404 Not Found\r\n\r\n", "GET").raise_for_status()

    def test_charsets(self) -> None:
        """No charset that a server names makes text fail, or take long."""
        body = b"a" * 500_000 + b"-" + b"a" * 500_000
        for charset in ("nonsense", "hex", "idna", "punycode", "PunyCode", "undefined", "unicode_escape", "raw-unicode-escape"):
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset={charset}\r\nContent-Length: {len(body)}\r\n\r\n"
            with self.subTest(charset):
                self.assertEqual(read_response(head.encode() + body, "GET").text, body.decode())

    def test_vectors(self) -> None:
        """The responses that all clients read or refuse alike."""
        tests = json.loads(VECTORS.read_text())["tests"]
        self.assertGreater(len(tests), 40)
        for v in tests:
            with self.subTest(v["name"]):
                response = bytes.fromhex(v["message"])
                if v["expect"] != "ok":
                    with self.assertRaises(ProtocolError):
                        read_response(response, v["method"])
                    continue
                r = read_response(response, v["method"])
                self.assertEqual((r.status_code, r.content), (v["status"], bytes.fromhex(v.get("body", ""))))

    def test_wrong(self) -> None:
        good = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
        read_response(good, "GET")
        wrong = [
            b"", b"hello", b"HTTP/2 200 OK\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n", b"HTTP/1.1 200 OK\n\n",
            b"HTTP/1.1 200 OK\r\nA\r\n\r\n", b"HTTP/1.1 200 OK\r\n: b\r\n\r\n", b"HTTP/1.1 200 OK\r\n A: b\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nbody", good + b"x", b"HTTP/1.1 204 No\r\nContent-Length: 4\r\n\r\nbody",
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nbody", b"HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nbody",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 257 + b"\r\n",
        ]  # fmt: skip
        for text in wrong + [good[:n] for n in range(len(good))]:
            with self.assertRaises(ProtocolError, msg=text):
                read_response(text, "GET")


if __name__ == "__main__":
    unittest.main()
