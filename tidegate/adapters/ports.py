"""Whether an address is free, and who has it if not."""

from __future__ import annotations

import socket

import psutil


def taken(host: str, port: int) -> str:
    """Who listens on a port of this machine; empty if nobody does and it can be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
            sock.listen(1)
            return ""
        except OSError as fault:
            return _holder(port) or (fault.strerror or str(fault))


def _holder(port: int) -> str:
    try:
        there = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr.port == port]
        for one in there:
            if one.pid:
                process = psutil.Process(one.pid)
                return f"process {one.pid} ({' '.join(process.cmdline())[:80] or process.name()})"
    except (psutil.Error, OSError):
        pass
    return ""


__all__ = ["taken"]
