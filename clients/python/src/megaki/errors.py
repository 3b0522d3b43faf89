"""What can go wrong, by class."""

from __future__ import annotations


class MegakiError(Exception):
    """A failure of a connection to a server of Megaki.

    may_have_arrived is true if the server may have handled the message. If it is
    false, the message can be sent again without harm. code is the number that
    libsazukari has for the failure.
    """

    code = 1
    may_have_arrived = False


class ConnectionFailed(MegakiError):
    """The connection failed, was closed, or took too long."""

    code = 8


class Timeout(ConnectionFailed):
    """The server took too long."""


class ProtocolError(MegakiError):
    """The server sent something that the protocol doesn't allow, or isn't the pinned one."""

    code = 6


class Refused(MegakiError):
    """The server refused the handshake. Nothing authenticates that: someone on the path can forge it."""

    code = 4


class IncompatibleVersions(Refused):
    """The server speaks another version of the protocol."""

    code = 2


class ServiceUnavailable(Refused):
    """The server takes no new sessions now."""

    code = 3


class ServerBlacklisted(Refused):
    """The server's key must not be used any more."""

    code = 10


class MessageTooLong(MegakiError, ValueError):
    """The message is over 1 MiB. Nothing was sent."""

    code = 11


class ResponseTooLong(MegakiError):
    """The response is over 1 MiB."""

    code = 12


class HTTPError(MegakiError):
    """A response with a status from 400 on, from Response.raise_for_status."""
