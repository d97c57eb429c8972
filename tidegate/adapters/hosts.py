"""Which addresses may be connected to: public ones, and those that the configuration lists."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from tidegate.errors import ChannelError

Address = IPv4Address | IPv6Address
_METADATA = frozenset({"169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254"})
_TRANSLATED = IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"), IPv6Network("::/96")
_DO = "correct it, or list it in alerts.allow_hosts"


def resolved(host: str, port: int, allowed: Sequence[str]) -> list[str]:
    """The addresses of a host, each of which may be connected to: look it up once, connect to what came of it.

    Raises
    ------
    ChannelError
        If it cannot be looked up, or any of its addresses is neither public nor listed. A name that has a public
        and a private address is refused as a whole.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as fault:
        why = getattr(fault, "strerror", None) or "no such host"
        raise ChannelError(f"host {host[:100]}", "a name that can be looked up", why, "correct it") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not may_reach(address, host, allowed):
            raise ChannelError(f"host {host[:100]}", "a public address", address, _DO)
    return addresses


def may_reach(address: str, host: str, allowed: Sequence[str]) -> bool:
    """Whether an address is public, or is listed: itself, its network, or the name that led to it.

    An address from which clouds hand out credentials has to be listed itself; a name is not enough.

    Examples
    --------
    >>> [may_reach(a, "a.example", ()) for a in ("93.184.215.14", "127.0.0.1", "::ffff:10.0.0.1", "100.64.0.1")]
    [True, False, False, False]
    >>> may_reach("10.1.2.3", "a.example", ["10.1.0.0/16"]), may_reach("169.254.169.254", "a", ["a"])
    (True, False)
    """
    ip = ip_address(address)
    forms = [ip, *_within(ip)]
    if any(_covers(entry, form) for entry in allowed for form in forms[-1:]):
        return True
    if any(str(form) in _METADATA for form in forms):
        return False
    return host.lower() in allowed or all(_public(form) for form in forms)


def _public(ip: Address) -> bool:
    odd = ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback or ip.is_link_local or ip.is_private
    return ip.is_global and not odd


def _within(ip: Address) -> list[Address]:
    """The IPv4 address that an IPv6 one stands for: mapped, translated or tunnelled."""
    if isinstance(ip, IPv4Address):
        return []
    if ip.ipv4_mapped:
        return [ip.ipv4_mapped]
    if ip.sixtofour:
        return [ip.sixtofour]
    if ip.teredo:
        return list(ip.teredo)
    if any(ip in network for network in _TRANSLATED) and int(ip) > 1:
        return [IPv4Address(int(ip) & 0xFFFFFFFF)]
    return []


def _covers(entry: str, ip: Address) -> bool:
    try:
        network = ip_network(entry)
    except ValueError:
        return False
    return network.version == ip.version and ip in network


__all__ = ["may_reach", "resolved"]
