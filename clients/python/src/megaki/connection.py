"""One connection, with a session on it."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from . import errors, packets
from .keys import ServerKey


class Connection:
    """A connection. After any failure it can't be used any more."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._deadline = 0.0
        self._seen = packets.Seen()
        self._token = self._key = b""
        self.round_trips = 0

    @classmethod
    def open(cls, host: str, port: int, timeout: float) -> "Connection":
        """Connects to the first address that takes the connection. They share the time."""
        deadline = time.monotonic() + timeout
        failure: OSError = OSError("the server's name has no address")
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as e:
            raise errors.ConnectionFailed(f"{host}:{port}: {e}") from e
        for i, info in enumerate(addresses):
            share = (deadline - time.monotonic()) / (len(addresses) - i)  # one that doesn't respond must not take it all
            try:
                return cls(_connect(info, max(share, 0.001)))
            except OSError as e:
                failure = e
            if time.monotonic() >= deadline:
                raise errors.Timeout(f"{host}:{port}: connecting took longer than {timeout} s") from failure
        raise errors.ConnectionFailed(f"{host}:{port}: {failure}") from failure

    def close(self) -> None:
        self._sock.close()

    @property
    def session(self) -> bytes:
        """Token and master key: 48 bytes."""
        return self._token + self._key

    def usable(self) -> bool:
        """Reports whether the server has neither closed the connection nor sent anything out of turn."""
        try:
            self._sock.settimeout(0)
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def handshake(self, server: ServerKey, own: rsa.RSAPrivateKey, timeout: float) -> None:
        """Makes a new session."""
        self._allow(timeout)
        ephemeral, client_symmetric = os.urandom(32), os.urandom(32)
        self._write(packets.seal_syn(server, own.public_key(), ephemeral))
        token, server_symmetric = packets.open_syn_ack(self._read(packets.SYN_ACK), ephemeral, own)
        self._write(packets.seal_ack(token, server_symmetric, client_symmetric, ephemeral))
        self._read(packets.ACK_ACK)
        self._begin(token, packets.derive(server_symmetric, client_symmetric))

    def resume(self, session: bytes, timeout: float) -> bool:
        """Resumes a session. It returns false if the server asks for a handshake on this connection."""
        self._allow(timeout)
        token, key, augment = session[:16], session[16:], os.urandom(32)
        self._write(packets.seal(packets.RSTOR, key, token, augment))
        response = self._read(packets.RSTOR_ACK, packets.REQ_REHS)
        if response[5] == packets.REQ_REHS:
            return False
        mid = packets.derive(key, augment)
        self._begin(token, packets.derive(mid, packets.unseal(mid, response)))
        return True

    def send(self, message: bytes, timeout: float) -> bytes:
        """Sends a message and returns the response."""
        self._allow(timeout)
        self.round_trips += 1
        packet = packets.seal(packets.MSG, self._key, self._token, message)
        self._seen.add(packet)
        try:
            self._write(packet)
            response = self._read(packets.MSG)
            plain = packets.unseal(self._key, response)
            if not self._seen.add(response):
                raise errors.ProtocolError("a packet that was sent before, in the place of the response")
        except errors.MegakiError as e:
            e.may_have_arrived = True
            raise
        return plain

    def _begin(self, token: bytes, key: bytes) -> None:
        self._token, self._key, self._seen, self.round_trips = token, key, packets.Seen(), 0
        if not self.usable():
            raise errors.ConnectionFailed("the server closed the connection, or sent something out of turn")

    def _allow(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds

    def _wait(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise errors.Timeout("the server took too long")
        self._sock.settimeout(left)

    def _write(self, packet: bytes) -> None:
        try:
            self._wait()
            self._sock.sendall(packet)
        except socket.timeout as e:
            raise errors.Timeout("the server took too long") from e
        except OSError as e:
            raise errors.ConnectionFailed(f"the connection failed: {e}") from e

    def _read(self, *due: int) -> bytes:
        """Reads a packet of one of the types. It is judged as soon as its header is there."""
        packet = bytearray()
        size, wanted = 0, 6
        while True:
            try:
                self._wait()
                part = self._sock.recv(min(wanted - len(packet), 1 << 16))
            except socket.timeout as e:
                raise errors.Timeout("the server took too long") from e
            except OSError as e:
                raise errors.ConnectionFailed(f"the connection failed: {e}") from e
            if not part:
                raise errors.ConnectionFailed("the server closed the connection")
            packet += part
            if size == 0:
                size = packets.frame_size(bytes(packet), due)
                wanted = size or (10 if len(packet) >= 6 else 6)
            if len(packet) == size:
                return bytes(packet)


def _connect(info: "tuple[Any, ...]", timeout: float) -> socket.socket:
    """Connects to an address, as getaddrinfo returns it."""
    family, kind, protocol, _, address = info
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
