"""The client: a session over as many connections as it takes."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Mapping, Optional, Type, Union

from cryptography.hazmat.primitives.asymmetric import rsa

from . import errors, packets
from .connection import Connection, new_key
from .http import HeadersInit, Response, read_response, write_request
from .keys import ServerKey

_MAX_FAILED_RESUMES = 3


class Client:
    """A client of one server.

    It connects when there is something to send, resumes the session when the
    server has closed the connection, and does a handshake when the server has
    forgotten the session. A message that the server may have handled is never sent
    twice. It may be used from several threads; messages go one after the other.

    key is the server's public key. session is a session of 48 bytes to resume.
    session_file keeps the session in a file instead, which is a secret. host_header is
    the Host of requests. The timeouts are in seconds: to connect, for a handshake
    or a resumption, and for a message with its response.
    """

    def __init__(
        self,
        host: str,
        port: int,
        key: ServerKey,
        *,
        session: Optional[bytes] = None,
        session_file: Union[str, "os.PathLike[str]", None] = None,
        host_header: Optional[str] = None,
        connect_timeout: float = 10,
        handshake_timeout: float = 15,
        message_timeout: float = 60,
        max_messages_per_key: int = 16384,
    ) -> None:
        self._host, self._port, self._server_key = host, port, key
        self._host_header = host_header or (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        self._connect_timeout = connect_timeout
        self._handshake_timeout = handshake_timeout
        self._message_timeout = message_timeout
        self._max_messages = max_messages_per_key
        self._file = Path(session_file) if session_file is not None else None
        if self._file is not None and session is None and self._file.exists():
            session = self._file.read_bytes() or None
        if session is not None and len(session) != 48:
            raise ValueError(f"a session has 48 bytes, not {len(session)}")
        self._session = session
        self._own_key: Optional[rsa.RSAPrivateKey] = None
        self._connection: Optional[Connection] = None
        self._failed_resumes = 0
        self._lock = threading.Lock()

    @property
    def session(self) -> Optional[bytes]:
        """The session's 48 bytes, to resume it later; None if there is none yet. They are a secret."""
        return self._session

    def send(self, message: bytes) -> bytes:
        """Sends a message of 1 byte to 1 MiB, and returns the response, which may be empty."""
        if not message:
            raise ValueError("a message has at least one byte")
        if len(message) > packets.LIMIT:
            raise errors.MessageTooLong(f"a message of {len(message)} bytes, over the limit of {packets.LIMIT}")
        with self._lock:
            connection = self._usable()
            done = False
            try:
                response = connection.send(message, self._message_timeout)
                done = True
                return response
            finally:
                if not done:
                    self._drop()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        headers: HeadersInit = (),
        data: Union[bytes, str, Mapping[str, Any], None] = None,
        json: Any = None,
    ) -> Response:
        """Sends an HTTP request in a message. Request and response have at most 1 MiB each."""
        message = write_request(method, path, self._host_header, headers, params, data, json)
        return read_response(self.send(message), method)

    def get(self, path: str, **options: Any) -> Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Response:
        return self.request("POST", path, **options)

    def close(self) -> None:
        """Closes the connection. The client can be used again."""
        with self._lock:
            self._drop()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()

    def _usable(self) -> Connection:
        c = self._connection
        if c is not None and (c.round_trips >= self._max_messages or not c.usable()):
            self._drop()
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> Connection:
        c = Connection.open(self._host, self._port, self._connect_timeout)
        begun = False
        try:
            self._begin(c)
            self._save(c.session)
            begun = True
            return c
        finally:
            if not begun:
                c.close()

    def _begin(self, c: Connection) -> None:
        if self._session is not None and self._failed_resumes < _MAX_FAILED_RESUMES:
            self._failed_resumes += 1
            resumed = c.resume(self._session, self._handshake_timeout)
            self._failed_resumes = 0
            if resumed:
                return
        if self._own_key is None:
            self._own_key = new_key()
        c.handshake(self._server_key, self._own_key, self._handshake_timeout)
        self._failed_resumes = 0

    def _save(self, session: bytes) -> None:
        self._session = session
        if self._file is None:
            return
        handle, name = tempfile.mkstemp(prefix=".megaki-", dir=self._file.parent)  # mode 0600
        try:
            with os.fdopen(handle, "wb") as f:
                f.write(session)
            os.replace(name, self._file)
        except BaseException:
            os.unlink(name)
            raise
