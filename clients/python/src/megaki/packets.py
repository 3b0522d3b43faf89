"""The packets of Megaki v1. Integers are big-endian.

    SYN       head (6), hash (32), two RSA blocks (256 each)
    SYN-ACK   head, MAC (32), token (16), RSA block
    ACK       head, MAC, token, IV (16), ciphertext (48)
    MSG, MSG-RSTOR, MSG-RSTOR-ACK
              head, length (4), token, MAC, IV, ciphertext
    ACK-ACK, REQ-REHS
              head: magic (5) and type
"""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from . import errors
from .keys import OAEP, ServerKey, pack

SYN, SYN_ACK, ACK, MSG, RSTOR, RSTOR_ACK, REQ_REHS, ACK_ACK = range(1, 9)

MAGIC = b"MGK\xaa\xca"
VERSION = b"\x0a\xff"
LIMIT = 1 << 20  # bytes of a message or a response

MSG_HEAD = 74
_SIZES = {SYN_ACK: 310, ACK_ACK: 6, REQ_REHS: 6}
_ERROR_MARK = b"\xee" * 16


def head(kind: int) -> bytes:
    return MAGIC + bytes([kind])


def frame_size(beginning: bytes, due: "tuple[int, ...]", limit: int = LIMIT) -> int:
    """Returns the size of the packet that begins so, or 0 if it takes more bytes to know.

    The packet is one of the types that are due. Nothing but the header is believed.
    """
    if beginning[:5] != MAGIC[: len(beginning)]:
        raise errors.ProtocolError("a packet without the magic: this is no Megaki server")
    if len(beginning) < 6:
        return 0
    kind = beginning[5]
    if kind not in due:
        raise errors.ProtocolError(f"a packet of type {kind:02x}, which isn't due")
    if kind in _SIZES:
        return _SIZES[kind]
    if len(beginning) < 10:
        return 0
    length = int.from_bytes(beginning[6:10], "big")
    if kind == RSTOR_ACK and length < 32:
        raise errors.ProtocolError(f"a MSG-RSTOR-ACK of length {length}, which always is 32")
    limit = 32 if kind == RSTOR_ACK else limit
    if length > limit:
        raise errors.ResponseTooLong(f"a response of {length} bytes, over the limit of {limit}")
    return MSG_HEAD + _padded(length)


def _padded(length: int) -> int:
    return (length + 15) // 16 * 16


def derive(a: bytes, b: bytes) -> bytes:
    """Mixes two keys: NOT a XOR b."""
    return bytes(~x & 0xFF ^ y for x, y in zip(a, b))


def _mac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()


def _cbc(key: bytes, iv: bytes) -> "Cipher[modes.CBC]":
    return Cipher(algorithms.AES(key), modes.CBC(iv))


def seal_syn(server: ServerKey, own: rsa.RSAPublicKey, ephemeral: bytes) -> bytes:
    plain = pack(own) + ephemeral + VERSION
    folded = bytes(a ^ b for a, b in zip(plain[214:], plain))
    return head(SYN) + hashlib.sha256(plain).digest() + server.encrypt(plain[:214]) + server.encrypt(folded)


def open_syn_ack(p: bytes, ephemeral: bytes, own: rsa.RSAPrivateKey) -> "tuple[bytes, bytes]":
    """Returns token and server_symmetric. Nothing is believed before the MAC."""
    if not hmac.compare_digest(p[6:38], _mac(ephemeral, p[54:])):
        raise errors.ProtocolError("a SYN-ACK with a wrong MAC: the server doesn't have the pinned key, or someone changed the packet")
    try:
        secret = own.decrypt(p[54:], OAEP)
    except ValueError:
        secret = b""
    if len(secret) != 48:
        raise errors.ProtocolError("a SYN-ACK that isn't encrypted to the client's key")
    outer, inner = p[38:54], secret[:16]
    # The reference's server marks the inner token, its client looks at the outer one.
    if inner == _ERROR_MARK:
        raise _refusal(secret[16:])
    if outer == _ERROR_MARK:
        raise _refusal(inner)
    if not hmac.compare_digest(outer, inner):
        raise errors.ProtocolError("a SYN-ACK with two tokens: someone changed the packet")
    return inner, secret[16:]


def refusal_code(e: errors.Refused) -> str:
    """Returns the code of a refusal in hex, as test vectors have it."""
    return str(e.args[1])


def _refusal(code: bytes) -> errors.Refused:
    kind = {
        b"\x01\x00": errors.IncompatibleVersions,
        b"\x02\x00": errors.ServiceUnavailable,
        b"\x03\xff": errors.ServerBlacklisted,
    }.get(code[:2], errors.Refused)
    return kind(f"the server refuses the handshake: {(kind.__doc__ or '').split('. ')[0]}", code[:2].hex())


def seal_ack(token: bytes, server_symmetric: bytes, client_symmetric: bytes, ephemeral: bytes) -> bytes:
    iv = os.urandom(16)
    encryptor = _cbc(server_symmetric, iv).encryptor()
    signed = iv + encryptor.update(token + client_symmetric) + encryptor.finalize()
    return head(ACK) + _mac(ephemeral, signed) + token + signed


def seal(kind: int, key: bytes, token: bytes, plain: bytes) -> bytes:
    """Makes a MSG, or a packet of its form. Random bytes pad it."""
    iv = os.urandom(16)
    encryptor = _cbc(key, iv).encryptor()
    filled = plain + os.urandom(_padded(len(plain)) - len(plain))
    signed = iv + encryptor.update(filled) + encryptor.finalize()
    return head(kind) + len(plain).to_bytes(4, "big") + token + _mac(key, signed) + signed


def unseal(key: bytes, p: bytes) -> bytes:
    """Checks a whole MSG, or a packet of its form, and returns the plaintext."""
    if not hmac.compare_digest(p[26:58], _mac(key, p[58:])):
        raise errors.ProtocolError("a packet with a wrong MAC")
    decryptor = _cbc(key, p[58:74]).decryptor()
    return (decryptor.update(p[MSG_HEAD:]) + decryptor.finalize())[: int.from_bytes(p[6:10], "big")]


class Seen:
    """The MACs under a key, received and sent. No packet is accepted twice, nor a reflected one."""

    def __init__(self) -> None:
        self._prefixes: "set[bytes]" = set()

    def add(self, packet: bytes) -> bool:
        """Adds a packet of the form of a MSG. It returns false if it was there."""
        prefix = packet[26:34]
        if prefix in self._prefixes:
            return False
        self._prefixes.add(prefix)
        return True
