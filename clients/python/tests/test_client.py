"""The client with a server at MEGAKI_SERVER, whose public key is the file MEGAKI_KEY.

The server responds to a message with the same bytes, and to an HTTP request with
its method, path and body; the field Session has the session's token.
"""

import os
import socket
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: E402

from megaki import Client, ConnectionFailed, MegakiError, MessageTooLong, ServerKey, Timeout, keys  # noqa: E402

HOST, _, PORT = os.environ["MEGAKI_SERVER"].rpartition(":")
KEY = ServerKey.read(os.environ["MEGAKI_KEY"])


def client(**options: object) -> Client:
    return Client(HOST, int(PORT), KEY, **options)  # type: ignore[arg-type]


class ClientTest(unittest.TestCase):
    def test_send(self) -> None:
        with client() as c:
            self.assertEqual(c.send(b"hello"), b"hello")
            self.assertEqual(c.send(bytes(range(256))), bytes(range(256)))
            c.close()
            self.assertEqual(c.send(b"again"), b"again")

    def test_request(self) -> None:
        with client(host_header="example.org") as c:
            r = c.get("/page", params={"a": "b"}, headers={"X-Field": "value"})
            self.assertEqual((r.status_code, r.ok, r.text), (200, True, "GET example.org/page?a=b "))
            self.assertEqual(c.post("/form", data={"a": "1"}).text, "POST example.org/form a=1")
            self.assertEqual(c.post("/json", json=[1]).text, "POST example.org/json [1]")
            self.assertEqual(c.request("HEAD", "/").content, b"")
            self.assertEqual(c.get("/missing").status_code, 404)

    def test_session_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "session"
            tokens = set()
            for _ in range(3):
                with client(session_file=file) as c:
                    tokens.add(c.get("/").headers["Session"])
                    self.assertEqual(file.read_bytes(), c.session)
                self.assertEqual(file.stat().st_mode & 0o777, 0o600)
            self.assertEqual(len(tokens), 1)

    def test_session(self) -> None:
        with client() as c:
            token = c.get("/").headers["Session"]
        with client(session=c.session) as d:
            self.assertEqual(d.get("/").headers["Session"], token)
        with client(session=bytes(48)) as e:  # unknown: a handshake follows
            self.assertNotEqual(e.get("/").headers["Session"], token)

    def test_used_key(self) -> None:
        with client(max_messages_per_key=2) as c:
            self.assertEqual(len({c.get("/").headers["Session"] for _ in range(7)}), 1)

    def test_threads(self) -> None:
        with client() as c:
            wrong = []

            def work(n: int) -> None:
                for i in range(20):
                    text = f"{n} {i}".encode()
                    if c.send(text) != text:
                        wrong.append(text)

            threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(wrong, [])

    def test_connect_timeout(self) -> None:
        """The addresses of a name share the time to connect."""
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            address = full.getsockname()
            waiting = [socket.socket() for _ in range(4)]
            for s in waiting:
                s.setblocking(False)
                s.connect_ex(address)
            infos = socket.getaddrinfo(*address, type=socket.SOCK_STREAM) * 20
            start = time.monotonic()
            with mock.patch("socket.getaddrinfo", return_value=infos), self.assertRaises(Timeout):
                Client("name", 1, KEY, connect_timeout=0.5).send(b"hello")
            self.assertLess(time.monotonic() - start, 5)  # not 20 times 0.5 s
            infos = infos[:1] + socket.getaddrinfo(HOST, int(PORT), type=socket.SOCK_STREAM)
            with mock.patch("socket.getaddrinfo", return_value=infos), client(connect_timeout=1) as c:
                self.assertEqual(c.send(b"hello"), b"hello")
            for s in waiting:
                s.close()

    def test_next_address(self) -> None:
        infos = socket.getaddrinfo("127.0.0.1", 1, type=socket.SOCK_STREAM) + socket.getaddrinfo(HOST, int(PORT), type=socket.SOCK_STREAM)
        with mock.patch("socket.getaddrinfo", return_value=infos), client() as c:
            self.assertEqual(c.send(b"hello"), b"hello")

    def test_errors(self) -> None:
        with client() as c:
            with self.assertRaises(MessageTooLong):
                c.send(bytes((1 << 20) + 1))
            with self.assertRaises(ValueError):
                c.send(b"")
            self.assertEqual(c.send(b"still there"), b"still there")
        other = ServerKey(keys.pack(rsa.generate_private_key(65537, 2048).public_key()))
        with self.assertRaises(MegakiError) as caught:
            Client(HOST, int(PORT), other).send(b"hello")
        self.assertFalse(caught.exception.may_have_arrived)
        with self.assertRaises(ConnectionFailed):
            Client("127.0.0.1", 1, KEY).send(b"hello")


if __name__ == "__main__":
    unittest.main()
