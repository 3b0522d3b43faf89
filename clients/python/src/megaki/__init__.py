"""A client of Megaki, an encrypted request/response protocol over TCP."""

from .client import Client
from .errors import (
    ConnectionFailed,
    HTTPError,
    IncompatibleVersions,
    MegakiError,
    MessageTooLong,
    ProtocolError,
    Refused,
    ResponseTooLong,
    ServerBlacklisted,
    ServiceUnavailable,
    Timeout,
)
from .http import Headers, Response
from .keys import ServerKey

__all__ = [
    "Client",
    "ConnectionFailed",
    "HTTPError",
    "Headers",
    "IncompatibleVersions",
    "MegakiError",
    "MessageTooLong",
    "ProtocolError",
    "Refused",
    "Response",
    "ResponseTooLong",
    "ServerBlacklisted",
    "ServerKey",
    "ServiceUnavailable",
    "Timeout",
]
