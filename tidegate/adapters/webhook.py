"""A signed POST of JSON to one address: nothing private is reached, no redirect followed, nothing waits for long."""

from __future__ import annotations

import hmac
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tidegate.adapters.hosts import may_reach, resolved
from tidegate.errors import ChannelError

SIGNATURE, DELIVERY = "Tidegate-Signature", "Tidegate-Delivery"
LEAST = 16
"""Bytes of a signing secret."""
READ = 16 * 2**10
"""Bytes of an answer's head; its body is not read."""
_DO = "look at what answers there"


@dataclass(frozen=True, slots=True, repr=False)
class Webhook:
    """One address with the secret that signs what is posted there; neither is in any message or `repr`."""

    name: str
    url: str
    secret: bytes
    allowed: Sequence[str] = ()
    timeout: float = 5.0

    def post(self, body: bytes, delivery: str, at: int) -> None:
        """Post a body; returns once it was answered with a 2xx.

        Parameters
        ----------
        delivery : str
            The same for the same message, however often it is tried: receivers that saw it drop it.
        at : int
            Seconds since 1970, part of what is signed.

        Raises
        ------
        ChannelError
            If the address may not be reached, cannot be, or does not answer with a 2xx in time.
        """
        parts = urlsplit(self.url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        until = time.monotonic() + self.timeout
        head = (
            f"POST {parts.path or '/'}{f'?{parts.query}' if parts.query else ''} HTTP/1.1\r\n"
            f"Host: {parts.netloc.rpartition('@')[2]}\r\nUser-Agent: tidegate\r\nConnection: close\r\n"
            f"Content-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
            f"{DELIVERY}: {delivery}\r\n{SIGNATURE}: {signature(self.secret, body, at)}\r\n\r\n"
        )
        try:
            connection = self._connected(host, port, secure, until)
            try:
                _bounded(connection, until)
                connection.sendall(head.encode("ascii") + body)
                status = _status(connection, until)
            finally:
                connection.close()
        except ssl.SSLError as fault:
            raise self._fault("a certificate that fits", (fault.reason or "none").lower().replace("_", " ")) from None
        except TimeoutError:
            raise self._fault(f"an answer within {self.timeout:g} s", "none") from None
        except OSError as fault:
            raise self._fault("a connection", fault.strerror or type(fault).__name__) from None
        if status // 100 != 2:
            found = f"{status}, a redirect, which is not followed" if status // 100 == 3 else str(status)
            raise self._fault("an answer of 2xx", found)

    def _connected(self, host: str, port: int, secure: bool, until: float) -> socket.socket:
        fault: OSError | None = None
        try:
            addresses = resolved(host, port, self.allowed)
        except ChannelError as refused:  # the host may be a part of what is secret
            raise ChannelError(f"channel {self.name}", refused.expected, refused.found, refused.do) from None
        for address in addresses:
            try:
                plain = socket.create_connection((address, port), timeout=max(until - time.monotonic(), 0.001))
            except OSError as broke:
                fault = broke
                continue
            # What was looked up is what was connected to: a second look-up could give another address.
            peer = plain.getpeername()[0]
            if not may_reach(peer, host, self.allowed):
                plain.close()
                raise ChannelError(f"channel {self.name}", "a public address", peer, "correct the address")
            if not secure:
                return plain
            try:
                return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
            except BaseException:
                plain.close()
                raise
        raise fault or TimeoutError

    def _fault(self, expected: str, found: str) -> ChannelError:
        return ChannelError(f"channel {self.name}", expected, found, _DO)


def signature(secret: bytes, body: bytes, at: int) -> str:
    """The header that proves who posted a body, and when: HMAC-SHA-256 (RFC 2104) over ``<at>.<body>``.

    Examples
    --------
    >>> signature(b"a secret of 16 b", b"{}", 1700000000)[:34]
    't=1700000000,v1=2f27fbe1cb68e829e4'
    """
    return f"t={at},v1={hmac.digest(secret, f'{at}.'.encode() + body, 'sha256').hex()}"


def _bounded(connection: socket.socket, until: float) -> None:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)


def _status(connection: socket.socket, until: float) -> int:
    """The status of the answer; a receiver that drips bytes gets no more time than one that is silent."""
    head = b""
    while b"\r\n" not in head:
        _bounded(connection, until)
        got = connection.recv(4096)
        head += got
        if not got or len(head) > READ:
            raise ConnectionError(0, "an answer that is no HTTP")
    parts = head.split(b"\r\n", 1)[0].split(b" ")
    if not (parts[0].startswith(b"HTTP/1.") and len(parts) > 1 and parts[1].isdigit() and len(parts[1]) == 3):
        raise ConnectionError(0, "an answer that is no HTTP")
    return int(parts[1])


__all__ = ["DELIVERY", "LEAST", "SIGNATURE", "Webhook", "signature"]
