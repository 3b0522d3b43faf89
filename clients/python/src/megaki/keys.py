"""The server's public key, which a program ships with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Union

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1

OAEP = padding.OAEP(mgf=padding.MGF1(SHA1()), algorithm=SHA1(), label=None)


class ServerKey:
    """A public RSA key of 2048 bits: PEM, or the 260 bytes of modulus and exponent."""

    def __init__(self, data: Union[bytes, str]) -> None:
        if isinstance(data, str):
            data = data.encode("ascii")
        if len(data) == 260 and not data.startswith(b"-----BEGIN"):
            modulus, exponent = int.from_bytes(data[:256], "big"), int.from_bytes(data[256:], "big")
        elif b"PRIVATE KEY-----" in data:
            raise ValueError("there is a private key, which must not be in a client")
        else:
            try:
                key = serialization.load_pem_public_key(data)
            except ValueError as e:
                raise ValueError("neither a public key in PEM nor the 260 bytes of modulus and exponent") from e
            if not isinstance(key, rsa.RSAPublicKey):
                raise ValueError("the key isn't an RSA key")
            modulus, exponent = key.public_numbers().n, key.public_numbers().e
        if modulus.bit_length() != 2048 or modulus & 1 == 0:
            raise ValueError("the key's modulus isn't an odd number of 2048 bits")
        if not 3 <= exponent < 1 << 31 or exponent & 1 == 0:
            raise ValueError("the key's exponent isn't an odd number from 3 to 2147483647")
        self._key = rsa.RSAPublicNumbers(exponent, modulus).public_key()

    @classmethod
    def read(cls, path: Union[str, "os.PathLike[str]"]) -> "ServerKey":
        """Reads a key from a file, such as server.key.pub."""
        return cls(Path(path).read_bytes())

    def __bytes__(self) -> bytes:
        return pack(self._key)

    def encrypt(self, data: bytes) -> bytes:
        return self._key.encrypt(data, OAEP)


def pack(key: rsa.RSAPublicKey) -> bytes:
    """Returns modulus and exponent, 260 bytes."""
    numbers = key.public_numbers()
    return numbers.n.to_bytes(256, "big") + numbers.e.to_bytes(4, "big")
