"""HTTP requests and responses, each in one message."""

from __future__ import annotations

import codecs
import json as jsonlib
import re
from typing import Any, Iterable, Iterator, Mapping, Optional, Union
from urllib.parse import urlencode

from . import errors

HeadersInit = Union[Mapping[str, str], Iterable["tuple[str, str]"]]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_TARGET = re.compile(r"/[!\"$-~]*")
_HOST = re.compile(r"[^\x00-\x20\x7f-\U0010ffff,/@?#\\]+")
_STATUS = re.compile(r"HTTP/1\.[01] ([2-5][0-9][0-9])(?: (.*))?")
_OWN = ("host", "content-length", "transfer-encoding")
_MAX_FIELDS = 256


class Headers:
    """The header fields of a response. Names have no case."""

    def __init__(self, fields: "list[tuple[str, str]]") -> None:
        self._fields = fields

    def get_all(self, name: str) -> "list[str]":
        """Returns the values of all fields of a name."""
        return [v for n, v in self._fields if n.lower() == name.lower()]

    def get(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """Returns the value of the first field of a name."""
        values = self.get_all(name)
        return values[0] if values else default

    def __getitem__(self, name: str) -> str:
        values = self.get_all(name)
        if not values:
            raise KeyError(name)
        return values[0]

    def __contains__(self, name: str) -> bool:
        return bool(self.get_all(name))

    def __iter__(self) -> "Iterator[tuple[str, str]]":
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class Response:
    """An HTTP response, in the manner of the package requests."""

    def __init__(self, status_code: int, reason: str, headers: Headers, content: bytes) -> None:
        self.status_code = status_code
        self.reason = reason
        self.headers = headers
        self.content = content

    @property
    def ok(self) -> bool:
        return self.status_code < 400

    @property
    def text(self) -> str:
        """The content, in the charset of its Content-Type, else in UTF-8."""
        charset = re.search(r"charset=\"?([\w.:-]+)", self.headers.get("Content-Type") or "", re.IGNORECASE)
        try:
            return self.content.decode(_codec(charset.group(1) if charset else "utf-8"), "replace")
        except (LookupError, UnicodeError):
            return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        return jsonlib.loads(self.content)

    def raise_for_status(self) -> None:
        if not self.ok:
            raise errors.HTTPError(f"{self.status_code} {self.reason}")


def _codec(charset: str) -> str:
    """Returns Python's name of a charset. Its codecs for names and for source text are none."""
    name = codecs.lookup(charset).name
    if name in ("idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"):
        raise LookupError(charset)
    return name


def write_request(
    method: str,
    path: str,
    host: str,
    headers: HeadersInit = (),
    params: Optional[Mapping[str, Any]] = None,
    data: Union[bytes, str, Mapping[str, Any], None] = None,
    json: Any = None,
) -> bytes:
    """Returns a request as a message. What would break it is a ValueError."""
    if not _TOKEN.fullmatch(method) or method == "CONNECT":
        raise ValueError("the method isn't one word, or is CONNECT")
    if params:
        path += ("&" if "?" in path else "?") + urlencode(params, doseq=True)
    if not _TARGET.fullmatch(path):
        raise ValueError("the path doesn't begin with a slash, or has a character that must be escaped")
    if not _HOST.fullmatch(host):
        raise ValueError("the host is malformed")
    fields = list(headers.items() if isinstance(headers, Mapping) else headers)
    kind, body = _body(data, json)
    if kind and not any(n.lower() == "content-type" for n, _ in fields):
        fields.append(("Content-Type", kind))
    for name, value in fields:
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError(f"the header field {name!r} is malformed")
        if name.lower() in _OWN:
            raise ValueError(f"{name} is written by the client")
    if body is not None or method in ("POST", "PUT", "PATCH"):
        fields.append(("Content-Length", str(len(body or b""))))
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"] + [f"{n}: {v}" for n, v in fields]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def _body(data: Union[bytes, str, Mapping[str, Any], None], json: Any) -> "tuple[Optional[str], Optional[bytes]]":
    if data is not None and json is not None:
        raise ValueError("data and json exclude each other")
    if json is not None:
        return "application/json", jsonlib.dumps(json).encode()
    if isinstance(data, str):
        return "text/plain; charset=utf-8", data.encode()
    if isinstance(data, Mapping):
        return "application/x-www-form-urlencoded", urlencode(data, doseq=True).encode()
    return None, data


def read_response(message: bytes, method: str) -> Response:
    """Reads a whole response.

    The length of a message isn't authenticated, so the response's own framing must
    agree with it.
    """
    end = message.find(b"\r\n\r\n")
    if end < 0:
        raise _wrong("its head doesn't end")
    lines = message[:end].decode("latin-1").split("\r\n")
    if any(not _VALUE.fullmatch(line) for line in lines):
        raise _wrong("its head has a character that isn't allowed")
    status = _STATUS.fullmatch(lines[0])
    if not status:
        raise _wrong("its first line is malformed, or its status isn't from 200 to 599")
    if len(lines) > _MAX_FIELDS + 1:
        raise _wrong(f"it has more than {_MAX_FIELDS} header fields")
    fields = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name):
            raise _wrong("a header field is malformed")
        fields.append((name, value.strip(" \t")))
    headers, body = Headers(fields), message[end + 4 :]
    lengths = headers.get_all("Content-Length")
    if len(lengths) > 1 or "Transfer-Encoding" in headers:
        raise _wrong("it has two Content-Length fields, or a Transfer-Encoding, which a message can't have")
    code = int(status.group(1))
    expected = 0
    if method != "HEAD" and code not in (204, 304) and lengths:
        expected = int(lengths[0]) if re.fullmatch("[0-9]{1,10}", lengths[0]) else -1
    if len(body) != expected:
        raise _wrong("its body doesn't have the length of its Content-Length")
    return Response(code, status.group(2) or "", headers, body)


def _wrong(what: str) -> errors.ProtocolError:
    e = errors.ProtocolError("the response isn't a right HTTP response: " + what)
    e.may_have_arrived = True
    return e
